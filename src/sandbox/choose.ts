import { Failure } from "../contracts/failure.ts";
import type { Hello } from "../contracts/frame.ts";

/** A worker that could be given a run: what it said of itself, and how many of its slots are thought to be free. */
export type Candidate = { hello: Pick<Hello, "worker" | "class" | "why" | "profiles" | "lacks">; free: number };

/** The worker with the most free slots among those that offer the profile. */
export function choose<Worker extends Candidate>(workers: Worker[], profile: string): Worker | undefined {
  return workers
    .filter(({ hello, free }) => hello.class !== null && free > 0 && hello.profiles.includes(profile))
    .sort((a, b) => b.free - a.free)[0];
}

/**
 * Why nobody could take a run, in the words of whoever could have: `sandbox_unavailable`, or `invalid_request` for a
 * profile that none of those who could work has ever heard of.
 */
export function refusalOf(workers: Candidate[], profile: string, waitMs: number): Failure {
  const able = workers.filter(({ hello }) => hello.class !== null);
  const [refusing] = workers.filter(({ hello }) => hello.class === null);
  const unavailable = (text: string) => new Failure("sandbox_unavailable", text);
  if (workers.length === 0)
    return unavailable(`no sandbox worker has dialled in for ${waitMs} ms: start one with \`dagent sandbox\``);
  if (able.length === 0)
    return unavailable(`every sandbox worker refuses work; ${refusing?.hello.worker} says: ${refusing?.hello.why}`);
  if (able.some(({ hello }) => hello.profiles.includes(profile)))
    return unavailable(`no slot of a sandbox worker was free for ${waitMs} ms`);
  const lack = able.flatMap(({ hello }) => (Object.hasOwn(hello.lacks, profile) ? [hello.lacks[profile]] : []))[0];
  if (lack !== undefined) return unavailable(`no sandbox worker offers the profile '${profile}': ${lack}`);
  const offered = [...new Set(able.flatMap(({ hello }) => hello.profiles))].join(", ");
  return new Failure("invalid_request", `there is no sandbox profile '${profile}'; there are ${offered}`, {
    field: "language",
  });
}
