import { chownSync, lchownSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Limits } from "../contracts/limits.ts";
import type { Kept, RunHead } from "../contracts/sandbox.ts";
import type { Berth } from "./berth.ts";
import type { Box } from "./box.ts";
import { keptName } from "./depot.ts";
import type { Ground } from "./ground.ts";
import type { Want } from "./pool.ts";

/** A box for a run. `lay` is called once the run's files are in it, and before anything runs. */
export type Opened = { berth: Berth; lay(): void };

/**
 * Opens the box of a run: one that waits, or, for an install and for a run that uses one, a new one. What is used stays in
 * the depot until the box is gone. Throws `sandbox_unavailable` when this worker does not keep it (any more).
 */
export async function openBerth(ground: Ground, { tenant, keep, uses }: RunHead, want: Want): Promise<Opened> {
  if (!uses) return { berth: await (keep ? ground.fresh(want) : ground.berths.take(want)), lay() {} };
  const used = ground.depot?.use(keptName(tenant, uses.key));
  if (!used) throw new Failure("sandbox_unavailable", "this worker does not keep these dependencies any more");
  try {
    const berth = await ground.fresh({ ...want, deps: used.entry });
    const close = () => berth.close().finally(used.done);
    return { berth: { ...berth, close }, lay: () => layModules(berth, used.names) };
  } catch (thrown) {
    used.done();
    throw thrown;
  }
}

/**
 * Makes node_modules in the work folder: a folder that can be written to, as tools expect it, whose entries lead to what is
 * kept, which cannot. One that came with the files is left as it is.
 */
function layModules({ box, uid }: Berth, names: string[]): void {
  if (names.length === 0) return;
  const folder = join(box.work, "node_modules");
  try {
    mkdirSync(folder, 0o755);
    if (uid !== null) chownSync(folder, uid, uid);
    for (const name of names) {
      symlinkSync(`/deps/node_modules/${name}`, join(folder, name));
      if (uid !== null) lchownSync(join(folder, name), uid, uid);
    }
  } catch (cause) {
    if (isThere(cause)) return;
    throw new Failure("invalid_request", `node_modules cannot be laid out: ${asFailure(cause).message}`, { cause });
  }
}

function isThere(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST";
}

/** Keeps what an install that ended well has left in its box, which has ended. A folder that cannot be kept says why. */
export async function keepFolder(
  { depot }: Ground,
  { work }: Box,
  { head: { tenant, keep }, limits: { size } }: { head: RunHead; limits: Limits },
): Promise<Kept | undefined> {
  if (!keep) return undefined;
  const { key, folder } = keep;
  const most = { bytes: size.disk_bytes, entries: size.inodes };
  try {
    if (!depot) throw new Failure("sandbox_unavailable", "this worker keeps no dependencies");
    await depot.keep(keptName(tenant, key), { from: join(work, folder), folder, most });
    return { done: true, cached: false, why: null };
  } catch (thrown) {
    return { done: false, cached: false, why: asFailure(thrown).message.slice(0, 2000) };
  }
}
