import { readFile } from "node:fs/promises";
import { type LimitsWish, SandboxLimits } from "../../src/contracts/limits.ts";
import type { Ground } from "../../src/sandbox/ground.ts";
import { inspectHost } from "../../src/sandbox/host.ts";
import { carryOut, type Outcome } from "../../src/sandbox/run.ts";
import { chooseGround } from "../../src/sandbox/selftest.ts";

/** The shipped limits. */
export const shipped = SandboxLimits.parse(JSON.parse(await readFile("configs/sandbox_limits.json", "utf8")));

const { lacks } = inspectHost();

/** Whether this machine can make any box, and what to put behind a title when it cannot. */
export const able = lacks.rootless.length === 0;
export const notRun = able ? "" : ` (not run: ${lacks.rootless.join("; ")})`;

/** What a test asks of a box; a string is a script for `sh`. */
export type Wanted = {
  profile?: string;
  steps: (string | string[])[];
  limits?: LimitsWish;
  files?: Record<string, string | Uint8Array>;
  collect?: string[];
  signal?: AbortSignal;
  onOutput?: (text: string) => void;
};

export type Seen = Outcome & { out: string[]; err: string[] };

/** The strongest class of this machine, and boxes on it; `ground` is null where there is none, and `why` says so. */
export async function openBoxes(file: SandboxLimits = shipped) {
  const { ground, why } = await chooseGround(file, { searchPath: process.env.PATH ?? "" });
  return {
    ground,
    why,
    title: ground ? `in the ${ground.class} class` : `(not run: ${why})`,
    strict: ground?.class === "strict",
    run: (wanted: Wanted) => runIn(ground, wanted),
    close: () => ground?.close(),
  };
}

async function runIn(ground: Ground | null, wanted: Wanted): Promise<Seen> {
  if (!ground) throw new Error("no ground for boxes");
  const { profile = "shell", steps, limits, files = {}, collect = [] } = wanted;
  const contents = Object.values(files).map((content) => Buffer.from(content));
  const out: Buffer[][] = steps.map(() => []);
  const err: Buffer[][] = steps.map(() => []);
  const { outcome: coming, gone } = carryOut(ground, {
    head: {
      trace_id: "test",
      tenant: "acme",
      profile,
      files: Object.keys(files).map((path, index) => ({ path, bytes: contents[index]?.length ?? 0 })),
      steps: steps.map((step, index) => ({
        name: `step ${index}`,
        argv: typeof step === "string" ? ["sh", "-c", step] : step,
      })),
      collect,
      limits: { ...limits, time: { wall_ms: 15_000, ...limits?.time } },
    },
    pieces: piecesOf(contents),
    onOutput({ step, stream, bytes }) {
      (stream === "stdout" ? out : err)[step]?.push(bytes);
      wanted.onOutput?.(bytes.toString());
    },
    signal: wanted.signal ?? new AbortController().signal,
  });
  const outcome = await coming.finally(() => gone);
  const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString("latin1");
  return { ...outcome, out: out.map(text), err: err.map(text) };
}

async function* piecesOf(contents: Buffer[]) {
  for (const [file, bytes] of contents.entries()) if (bytes.length > 0) yield { file, bytes };
}
