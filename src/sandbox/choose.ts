import type { Hello } from "../contracts/frame.ts";

/** A worker that could be given a run: what it said of itself, and how many of its slots are thought to be free. */
export type Candidate = { hello: Pick<Hello, "worker" | "class" | "why" | "profiles">; free: number };

/** The worker with the most free slots among those that offer the profile. */
export function choose<Worker extends Candidate>(workers: Worker[], profile: string): Worker | undefined {
  return workers
    .filter(({ hello, free }) => hello.class !== null && free > 0 && hello.profiles.includes(profile))
    .sort((a, b) => b.free - a.free)[0];
}

/** Why nobody could take a run, in the words of whoever could have. */
export function reasonOf(workers: Candidate[], profile: string, waitMs: number): string {
  const able = workers.filter(({ hello }) => hello.class !== null);
  const [refusing] = workers.filter(({ hello }) => hello.class === null);
  if (workers.length === 0)
    return `no sandbox worker has dialled in for ${waitMs} ms: start one with \`dagent sandbox\``;
  if (able.length === 0)
    return `every sandbox worker refuses work; ${refusing?.hello.worker} says: ${refusing?.hello.why}`;
  if (!able.some(({ hello }) => hello.profiles.includes(profile))) {
    const offered = [...new Set(able.flatMap(({ hello }) => hello.profiles))].join(", ");
    return `no sandbox worker offers the profile '${profile}'; there are ${offered}`;
  }
  return `no slot of a sandbox worker was free for ${waitMs} ms`;
}
