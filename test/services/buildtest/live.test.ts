import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { liveLog } from "../../../src/services/buildtest/live.ts";

describe("the live log", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function open() {
    const told: { text: string; facts: unknown }[] = [];
    const log = liveLog({ status: async (text, facts) => void told.push({ text, facts }) });
    const say = (text: string | Buffer, step = "test", stream: "stdout" | "stderr" = "stdout") =>
      log.hear({ step, stream, bytes: Buffer.from(text) });
    return { told, say, end: log.end };
  }
  const second = () => vi.advanceTimersByTimeAsync(1000);

  test("tells once a second what came since, also when nothing more comes", async () => {
    const { told, say } = open();

    say("one\n");
    say("two\n");
    await second();
    await second();
    say("three\n");
    await second();

    expect(told).toEqual([
      { text: "test is running", facts: { step: "test", lines: ["one", "two"], left_out: 0 } },
      { text: "test is running", facts: { step: "test", lines: ["three"], left_out: 0 } },
    ]);
  });

  test("tells the last lines of a flood, each cut", async () => {
    const { told, say, end } = open();

    for (let n = 0; n < 1000; n++) say(`${n} ${"x".repeat(1000)}\n`);
    await end();

    expect(told).toHaveLength(1);
    expect(told[0]?.facts).toMatchObject({
      lines: Array.from({ length: 100 }, (_, n) => expect.stringMatching(`^${n + 900} x{196}$`)),
      left_out: 900,
    });
  });

  test("puts lines and letters together that came in pieces, each stream by itself", async () => {
    const { told, say, end } = open();
    const [first, second] = [Buffer.from("ä").subarray(0, 1), Buffer.from("ä").subarray(1)];

    say(first);
    say("error\n", "test", "stderr");
    say(second);
    say(" whole");
    say(" line\nno end");
    await end();

    expect(told.map(({ facts }) => facts)).toEqual([
      { step: "test", lines: ["error", "ä whole line", "no end"], left_out: 0 },
    ]);
  });

  test("shows of a bar of progress what is left of it, and no line ends of Windows", async () => {
    const { told, say, end } = open();

    say("10%\r50%\r100%\nplain\r\n");
    await end();

    expect(told.map(({ facts }) => facts)).toMatchObject([{ lines: ["100%", "plain"] }]);
  });

  test("keeps the steps apart", async () => {
    const { told, say, end } = open();

    say("built\n", "build");
    say("tested\n", "test");
    await end();

    expect(told.map(({ facts }) => facts)).toEqual([
      { step: "build", lines: ["built"], left_out: 0 },
      { step: "test", lines: ["tested"], left_out: 0 },
    ]);
  });

  test("costs the run nothing when a status cannot be written, and says nothing of silence", async () => {
    const log = liveLog({ status: () => Promise.reject(new Error("no database")) });
    log.hear({ step: "test", stream: "stdout", bytes: Buffer.from("x\n") });

    await expect(log.end()).resolves.toBeUndefined();
    const silent = open();
    await silent.end();
    expect(silent.told).toEqual([]);
  });
});
