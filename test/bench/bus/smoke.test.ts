import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const main = join(import.meta.dirname, "../../../dist/src/cli/main.js");
const run = promisify(execFile);

test("bench bus measures our bus alone, and says that the others were not run", { timeout: 120_000 }, async () => {
  const args = ["bench", "bus", "--messages", "200", "--rounds", "1", "--only", "ours", "--json"];
  const { stdout, stderr } = await run(process.execPath, [main, ...args]);
  const report = JSON.parse(stdout);

  for (const metric of ["drain_1", "drain_2", "enqueue_batch", "enqueue_single", "idle_p50_ms", "idle_p99_ms"]) {
    expect(report.ours[metric]).toBeGreaterThan(0);
    expect(report.graphile_worker[metric]).toBeNull();
  }
  expect(report.not_run).toMatchObject({ graphile_worker: "not asked for", raw: "not asked for" });
  expect(report.postgres).toMatchObject({ fsync: "on", synchronous_commit: "on" });
  expect(report.goals.map(({ met }: { met: unknown }) => met)).toEqual(report.goals.map(() => null));
  expect(stderr).toContain("round 1 of 1, ours");
});

test.each([
  [["--messages", "few"], "--messages is a whole number"],
  [["--rounds", "0"], "--rounds is a whole number"],
  [["--only", "ours,redis"], "redis is none of them"],
])("bench bus refuses %j before it starts anything", async (args, why) => {
  await expect(run(process.execPath, [main, "bench", "bus", ...args])).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(why),
  });
});
