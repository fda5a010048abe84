import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { forgetRunning, noteRunning, runningSystem, stopRunning, wasKilled } from "../../src/app/running.ts";

describe("what runs in a data folder", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "dagent-running-"));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  const left = (note: unknown) => writeFile(join(dir, "up.json"), JSON.stringify(note));
  const url = "http://127.0.0.1:1";

  test("is what its launcher wrote down, until it takes that back", async () => {
    await noteRunning(dir, url);
    expect(await runningSystem(dir)).toEqual({ pid: process.pid, url });
    expect(await wasKilled(dir)).toBe(false);

    await forgetRunning(dir);
    expect(await runningSystem(dir)).toBe(null);
    expect(await wasKilled(dir)).toBe(false);
  });

  test.each([
    ["its number is nobody's", { pid: 2 ** 22 + 1, born: "1", url }],
    ["its number is another process's by now", { pid: process.pid, born: "1", url }],
  ])("is nothing when the launcher was killed and %s", async (_, note) => {
    await left(note);

    expect(await runningSystem(dir)).toBe(null);
    expect(await wasKilled(dir)).toBe(true);
    expect(await stopRunning(dir)).toBe("nothing"); // and kills nobody
    expect(await wasKilled(dir)).toBe(false);
  });

  test("is nothing when the note is half written", async () => {
    await writeFile(join(dir, "up.json"), '{"pid": 1');
    expect(await runningSystem(dir)).toBe(null);
    await left({ pid: -1, url });
    expect(await runningSystem(dir)).toBe(null);
  });
});
