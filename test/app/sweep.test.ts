import { expect, test, vi } from "vitest";
import { sweepEvery } from "../../src/app/sweep.ts";
import type { Log } from "../../src/contracts/log.ts";

function told(): Log & { warned: string[] } {
  const warned: string[] = [];
  return { warned, info() {}, error() {}, warn: (fact) => void warned.push(String(fact.reason)) };
}

test("a turn that has more to do is followed at once, the next one rests", async () => {
  const turn = vi.fn().mockResolvedValueOnce(true).mockResolvedValueOnce(true).mockResolvedValue(false);

  const sweep = sweepEvery(60_000, turn, { name: "test", log: told() });

  await vi.waitFor(() => expect(turn).toHaveBeenCalledTimes(3));
  await sweep.stop();
  expect(turn).toHaveBeenCalledTimes(3);
});

test("a turn that fails is told, and tried again", async () => {
  const log = told();
  const turn = vi.fn().mockRejectedValueOnce(new Error("no database")).mockResolvedValue(false);

  const sweep = sweepEvery(1, turn, { name: "test", log });

  await vi.waitFor(() => expect(turn.mock.calls.length).toBeGreaterThan(1));
  await sweep.stop();
  expect(log.warned).toEqual(["no database"]);
});

test("stopping waits for the turn under way, and no other begins", async () => {
  let finish = () => {};
  const turn = vi.fn(() => new Promise<boolean>((resolve) => (finish = () => resolve(true))));
  const sweep = sweepEvery(1, turn, { name: "test", log: told() });
  await vi.waitFor(() => expect(turn).toHaveBeenCalledTimes(1));

  let stopped = false;
  const stopping = sweep.stop().then(() => (stopped = true));
  expect(stopped).toBe(false);
  finish();
  await stopping;

  expect(turn).toHaveBeenCalledTimes(1);
});
