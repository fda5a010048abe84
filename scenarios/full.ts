import { approved, refused } from "./stories/approval.ts";
import { broken, packages } from "./stories/buildtest.ts";
import { canary } from "./stories/canary.ts";
import { freeText } from "./stories/chat.ts";
import { documents } from "./stories/documents.ts";
import { firstTry, neverGreen, repaired, repairedTwice } from "./stories/generate.ts";
import { killed, killedSandbox } from "./stories/killed.ts";
import { twice } from "./stories/twice.ts";
import { violations } from "./stories/violation.ts";
import type { Stage, Story } from "./story.ts";

/** The whole way, from a question about strangers' documents to a worker that is killed in the middle. */
export const full: Story[] = [
  documents,
  freeText,
  packages,
  broken,
  firstTry,
  repaired,
  repairedTwice,
  neverGreen,
  ...violations,
  canary,
  approved,
  refused,
  twice,
  killed,
  killedSandbox,
];

/** How a story ended. `not run`: something it needs is missing, which `saw` names; it never counts as well. */
export type Ended = {
  story: string;
  ended: "well" | "badly" | "not run";
  ms: number;
  saw: string;
  traces: string[];
};

/** Walks the stories one after the other, and tells of each as it ends. */
export async function walk(stories: Story[], stage: Stage, tell: (ended: Ended) => void): Promise<Ended[]> {
  const all: Ended[] = [];
  for (const story of stories) {
    const ended = await walkOne(story, stage);
    tell(ended);
    all.push(ended);
  }
  return all;
}

async function walkOne({ name, needsSandbox, walk: go }: Story, stage: Stage): Promise<Ended> {
  const began = performance.now();
  const took = () => Math.round(performance.now() - began);
  if (needsSandbox && stage.sandboxed === null) {
    return { story: name, ended: "not run", ms: 0, saw: "the sandbox refuses work; see `dagent doctor`", traces: [] };
  }
  try {
    const { saw, traces } = await go(stage);
    return { story: name, ended: "well", ms: took(), saw, traces };
  } catch (error) {
    return {
      story: name,
      ended: "badly",
      ms: took(),
      saw: error instanceof Error ? error.message : String(error),
      traces: [],
    };
  }
}
