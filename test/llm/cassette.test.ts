import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCassette } from "../../src/llm/cassette.ts";

const asking = { maxTokens: null, signal: new AbortController().signal };
const cassette = {
  recorded_from: "a test",
  exchanges: [
    { when: { includes: ["red"], turn: 1 }, answer: { text: "first", model: "m", tokens: { input: 1, output: 2 } } },
    { when: { includes: ["red", "log"], turn: 2 }, answer: { text: "second", model: "m", tokens: null } },
  ],
};

describe("a cassette", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "dagent-cassette-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const open = async (content: unknown) => {
    const path = join(folder, "tape.json");
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
    return openCassette(path);
  };

  test("plays what was recorded for the turn and the words, and says that it is a replay", async () => {
    const model = await open(cassette);

    const first = await model.generate([{ role: "user", content: "a red one" }], asking);
    const second = await model.generate(
      [
        { role: "user", content: "a red one" },
        { role: "assistant", content: "first" },
        { role: "user", content: "the log" },
      ],
      asking,
    );

    expect(first).toEqual({
      text: "first",
      model: "m",
      provider: "cassette",
      replay: true,
      tokens: { input: 1, output: 2 },
    });
    expect(second).toMatchObject({ text: "second", replay: true, tokens: null });
    expect(model.name).toBe("tape");
  });

  test("does not invent an answer", async () => {
    const model = await open(cassette);

    await expect(model.generate([{ role: "user", content: "blue" }], asking)).rejects.toMatchObject({
      code: "model_answer_invalid",
      message: 'the cassette tape has no recording for turn 1 of "blue"',
      details: { max_attempts: 1 },
    });
  });

  test("hears what the user said, and nobody else", async () => {
    const model = await open(cassette);
    const prompt = [
      { role: "system" as const, content: "red" },
      { role: "user" as const, content: "green" },
    ];

    await expect(model.generate(prompt, asking)).rejects.toMatchObject({ code: "model_answer_invalid" });
  });

  test("is refused when it is not there", async () => {
    await expect(openCassette(join(folder, "none.json"))).rejects.toMatchObject({
      code: "config_invalid",
      message: expect.stringContaining("none.json cannot be read"),
    });
  });

  test.each([
    ["{", "is not one"],
    [{ recorded_from: "x", exchanges: [] }, "exchanges"],
    [{ ...cassette, extra: 1 }, "extra"],
    [
      { ...cassette, exchanges: [{ ...cassette.exchanges[0], when: { includes: ["a"], turn: 0 } }] },
      "exchanges[0].when.turn",
    ],
  ])("is refused when it is not one: %j", async (content, place) => {
    await expect(open(content)).rejects.toMatchObject({
      code: "config_invalid",
      message: expect.stringContaining(place),
    });
  });
});
