import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { createGunzip } from "node:zlib";
import { z } from "zod";
import { Failure } from "../../src/contracts/failure.ts";

/** A line of a file of recorded answers; sets differ in what else they say. */
const Line = z.looseObject({
  task_id: z.union([z.string(), z.number()]).optional(),
  name: z.string().optional(),
  prompt: z.string(),
  entry_point: z.string().regex(/^[A-Za-z_]\w*$/, "is not a name of python"),
  test: z.string(),
  solution: z.string().nullish(),
  canonical_solution: z.string().nullish(),
});

/** A task with an answer to it. `solution` is empty where nothing was recorded. */
export type Task = { id: string; prompt: string; entryPoint: string; test: string; solution: string };

/**
 * Reads tasks, one a line of JSON, gzipped when the name ends so. `canonical` takes the solution that came with the task
 * instead of the recorded one; a file without recorded ones has only that. Throws `invalid_request` naming the line.
 */
export async function readTasks(path: string, { canonical = false }: { canonical?: boolean } = {}): Promise<Task[]> {
  const bytes = createReadStream(path);
  const lines = createInterface({ input: path.endsWith(".gz") ? bytes.pipe(createGunzip()) : bytes });
  const tasks = new Map<string, Task>();
  try {
    let number = 0;
    for await (const line of lines) {
      number += 1;
      if (line.trim() === "") continue;
      const task = taskOf(line, { number, canonical });
      if (tasks.has(task.id)) throw new Failure("invalid_request", `line ${number}: the task ${task.id} came before`);
      tasks.set(task.id, task);
    }
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    throw new Failure("invalid_request", `${path} cannot be read: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  return [...tasks.values()];
}

function taskOf(text: string, { number, canonical }: { number: number; canonical: boolean }): Task {
  const parsed = Line.safeParse(parse(text, number));
  const id = parsed.data?.task_id ?? parsed.data?.name;
  if (!parsed.success || id === undefined) {
    const why = parsed.success ? "it has neither task_id nor name" : z.prettifyError(parsed.error);
    throw new Failure("invalid_request", `line ${number} is no task: ${why}`);
  }
  const { prompt, entry_point: entryPoint, test, solution, canonical_solution } = parsed.data;
  const answer = canonical || solution === undefined ? canonical_solution : solution;
  return { id: String(id), prompt, entryPoint, test, solution: answer ?? "" };
}

function parse(text: string, number: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure("invalid_request", `line ${number} is not JSON`);
  }
}

/** The program of a task's answer, without its test; empty where the answer is. */
export function answerOf(task: Task): string {
  return task.solution.trim() === "" ? "" : programOf(task, task.solution);
}

/**
 * The program of a solution, without its test. One that begins at the first column is a whole definition and takes the
 * place of the prompt's; any other is the body that the prompt was cut off before.
 */
export function programOf({ prompt, entryPoint }: Task, solution: string): string {
  if (!/^(def|from|import|class)\b|^@/.test(solution)) return prompt + solution;
  const at = prompt.indexOf(`def ${entryPoint}`);
  return `from typing import *\n${at === -1 ? "" : prompt.slice(0, at)}${solution}`;
}

/** What is run behind the program: the test, and its call. */
export function checkOf({ test, entryPoint }: Task): string {
  return `\n${test}\ncheck(${entryPoint})\n`;
}
