import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Failure } from "../../src/contracts/failure.ts";

/** One recorded answer of an agent, as far as it is needed: which task, and whether it was right. */
const Line = z.object({ task_id: z.string(), is_solved: z.boolean() });

/** Agents that were recorded on the same tasks. `solved` has a set of tasks for each agent. */
export type Recorded = { tasks: string[]; agents: { name: string; solved: Set<string> }[] };

/** The recorded agents of a folder: each file of JSON lines is one. Throws `not_found` when there are not two. */
export async function recordedIn(folder: string): Promise<Recorded> {
  const names = await readdir(folder).catch(() => []);
  const agents: Recorded["agents"] = [];
  const tasks = new Set<string>();
  for (const name of names.filter((file) => file.endsWith(".jsonl")).sort()) {
    const lines = (await readFile(join(folder, name), "utf8")).split("\n").filter((line) => line.trim() !== "");
    const parsed = lines.flatMap((line) => Line.safeParse(JSON.parse(line)).data ?? []);
    for (const { task_id } of parsed) tasks.add(task_id);
    const solved = new Set(parsed.flatMap(({ task_id, is_solved }) => (is_solved ? [task_id] : [])));
    if (parsed.length > 0) agents.push({ name: name.replace(/\.jsonl$/, ""), solved });
  }
  if (agents.length >= 2) return { tasks: [...tasks], agents };
  throw new Failure("not_found", `${folder} has no recorded agents: --data names the folder above code/`);
}
