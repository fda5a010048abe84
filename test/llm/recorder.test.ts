import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LLMock } from "@copilotkit/aimock";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Prompt } from "../../src/contracts/model.ts";
import { Cassette, openCassette } from "../../src/llm/cassette.ts";
import { openaiModel } from "../../src/llm/openai.ts";
import { recording } from "../../src/llm/recorder.ts";

const asking = { maxTokens: null, signal: new AbortController().signal };
const user = (content: string) => ({ role: "user" as const, content });

describe("a recorder", () => {
  const double = new LLMock({ port: 0 });
  let folder = "";
  beforeAll(async () => {
    double.onMessage("red", { content: "first", usage: { prompt_tokens: 7, completion_tokens: 3 } });
    double.onMessage("the log", { content: "second" });
    double.onMessage("key", { content: "you gave me hunter22hunter22 and sk-abcdefghijklmnop1234" });
    await double.start();
    folder = await mkdtemp(join(tmpdir(), "dagent-recorder-"));
  });
  afterAll(async () => {
    await double.stop();
    await rm(folder, { recursive: true });
  });
  function record(secrets: string[] = []) {
    const live = openaiModel({ name: "m", baseUrl: `${double.url}/v1`, model: "m", apiKey: "k", timeoutMs: 5000 });
    const tape: { last: Cassette | null } = { last: null };
    const keep = async (cassette: Cassette) => {
      tape.last = cassette;
    };
    const model = recording(live, { secrets, keep });
    return { model, tape };
  }

  test("makes a cassette of live answers, which then answers the same and says that it replays", async () => {
    const { model, tape } = record();
    const first: Prompt = [user("a red one")];
    const second: Prompt = [...first, { role: "assistant", content: "first" }, user("the log")];
    const live = [await model.generate(first, asking), await model.generate(second, asking)];

    const path = join(folder, "m.json");
    await writeFile(path, JSON.stringify(Cassette.parse(tape.last)));
    const replayed = await openCassette(path);
    const again = [await replayed.generate(first, asking), await replayed.generate(second, asking)];

    expect(again.map(({ text }) => text)).toEqual(live.map(({ text }) => text));
    expect(again.every(({ replay }) => replay)).toBe(true);
    expect(again[0]?.tokens).toEqual({ input: 7, output: 3 });
    await expect(replayed.generate([user("something else")], asking)).rejects.toMatchObject({
      code: "model_answer_invalid",
    });
  });

  test("strikes secrets out of what it keeps, and out of nothing else", async () => {
    const { model, tape } = record(["hunter22hunter22"]);
    const question = [user(`my key is hunter22hunter22 and dag_${"x".repeat(43)}, Bearer abcdefghijklmnopqrstuvwx`)];
    const said = await model.generate(question, asking);

    expect(said.text).toContain("hunter22hunter22"); // who asked gets it as it came
    const kept = JSON.stringify(tape.last);
    for (const secret of ["hunter22", "sk-abcdef", "dag_xxx", "abcdefghijklmnopqrstuvwx"])
      expect(kept).not.toContain(secret);
    expect(kept).toContain("my key is ");

    const path = join(folder, "s.json");
    await writeFile(path, kept);
    expect((await (await openCassette(path)).generate(question, asking)).text).toContain("you gave me [secret]");
  });
});
