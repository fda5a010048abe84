import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chosen, mutantsOf, tokensOf } from "../../bench/code/mutate.ts";
import { markOf, recordingOf } from "../../bench/code/request.ts";
import { answerOf, checkOf, programOf, type Task } from "../../bench/code/tasks.ts";

const task: Task = {
  id: "t/1",
  prompt: 'import math\n\n\ndef add(a, b):\n    """ Adds. """\n',
  entryPoint: "add",
  test: "def check(candidate):\n    assert candidate(1, 2) == 3\n",
  solution: "    return a + b\n",
};

describe("the programs of recorded answers", () => {
  test("a body stands behind its prompt", () => {
    expect(programOf(task, task.solution)).toBe(task.prompt + task.solution);
  });

  test.each(["def add(a, b): ...", "from x import y", "import x", "class A: ...", "@cache\ndef add(a, b): ..."])(
    "a whole definition takes the place of the prompt's: %s",
    (solution) => {
      expect(programOf(task, solution)).toBe(`from typing import *\nimport math\n\n\n${solution}`);
    },
  );

  test("an empty answer stays empty, and a check calls what was asked for", () => {
    expect(answerOf({ ...task, solution: " \n" })).toBe("");
    expect(checkOf(task)).toBe(`\n${task.test}\ncheck(add)\n`);
  });

  test("no mark is part of another, and an empty program is an empty answer", () => {
    expect(markOf(10).includes(markOf(0))).toBe(false);
    const { exchanges } = recordingOf([{ mark: markOf(0), programs: ["", "x"] }], "here");
    expect(exchanges.map(({ when, answer }) => [when.turn, answer.text])).toEqual([
      [1, ""],
      [2, expect.stringContaining('"solution.py"')],
    ]);
  });
});

describe("changing programs", () => {
  const changes = (source: string) => mutantsOf(source).map((one) => one.source);

  test("the tokens of a program are all of it", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "'", '"', "\\", "\n", "#", " ", "=", "<", "1", "(") }),
        (text) => {
          expect(
            tokensOf(text)
              .map((token) => token.text)
              .join(""),
          ).toBe(text);
        },
      ),
    );
  });

  test.each([
    ["a < b", ["a >= b", "a <= b"]],
    ["a == 1", ["a != 1", "a == 2"]],
    ["x = a + b", ["x = a - b"]],
    ["return x", ["return None and x"]],
    ["if a and not b: pass", ["if not a and not b: pass", "if a or not b: pass", "if a and  b: pass"]],
    ["f(*a, -b)", []],
    ["# a < b\n'''a < b'''\nr\"\\\" < \"", []],
    ["a is not None", []],
  ])("%s becomes %j", (source, wanted) => {
    expect(changes(source)).toEqual(wanted);
  });

  test("what stands before the answer stays", () => {
    const program = programOf(task, task.solution);

    for (const { source } of mutantsOf(program, task.prompt.length)) {
      expect(source.startsWith(task.prompt)).toBe(true);
      expect(source).not.toBe(program);
    }
  });

  test("the same seed chooses the same, each once", () => {
    const items = Array.from({ length: 100 }, (_, n) => n);

    expect(chosen(items, 40, 7)).toEqual(chosen(items, 40, 7));
    expect(chosen(items, 40, 7)).not.toEqual(chosen(items, 40, 8));
    expect(new Set(chosen(items, 200, 7)).size).toBe(100);
  });
});
