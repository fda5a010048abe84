import type { ChatRequest } from "../../src/contracts/chat.ts";
import type { LimitsWish } from "../../src/contracts/limits.ts";
import { checkOf, type Task } from "./tasks.ts";

/** Python's own time, so that a busy machine does not change a verdict; a plain run has the same. */
export const cpuSeconds = 5;
export const wallSeconds = 60;
const limits: LimitsWish = { time: { cpu_ms: cpuSeconds * 1000, wall_ms: wallSeconds * 1000 } };

/** One file, as the sets say it is run: what is tested is what the model wrote, with the test behind it. */
export const testCommand = "cat solution.py check.py > main.py && python3 main.py";

/** A task as anybody would ask for it over HTTP. `mark` is how the recording knows it again. */
export function requestOf(task: Task, { mark, rounds }: { mark: string; rounds: number }): Partial<ChatRequest> {
  return {
    intent: "code.generate",
    message: `${mark} Write solution.py. It must define ${task.entryPoint}, as this begins:\n\n${task.prompt}`.slice(
      0,
      20_000,
    ),
    workspace: { "check.py": checkOf(task) },
    language: "python",
    test: testCommand,
    max_rounds: rounds,
    limits,
  };
}

/** How a task is known again in a prompt: no other mark is part of it. */
export function markOf(index: number): string {
  return `[task ${index + 1}]`;
}

/** How a task is known again, and the programs that are answered to it, one a try; an empty one is an empty answer. */
export type Answers = { mark: string; programs: string[] };

/** A cassette of answers. */
export function recordingOf(answers: Answers[], from: string) {
  return {
    recorded_from: from,
    exchanges: answers.flatMap(({ mark, programs }) =>
      programs.map((program, n) => ({
        when: { includes: [mark], turn: n + 1 },
        answer: { text: answerOf(program), model: "recorded", tokens: null },
      })),
    ),
  };
}

function answerOf(program: string): string {
  if (program === "") return "";
  return JSON.stringify({ summary: "As it was recorded.", edits: [{ path: "solution.py", content: program }] });
}
