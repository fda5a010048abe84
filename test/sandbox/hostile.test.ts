import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Door, openDoor } from "../../bench/hostile/door.ts";
import { type HostWatch, watchHost } from "../../bench/hostile/host.ts";
import { judge, runOf } from "../../bench/hostile/judge.ts";
import { expected, hostile } from "../../bench/hostile/list.ts";
import { inspectHost } from "../../src/sandbox/host.ts";
import { able, notRun, shipped } from "./ground.ts";

const root = process.getuid?.() === 0;
const first = shipped.classes.find((name) => inspectHost().lacks[name].length === 0) ?? "strict";

/** The strongest class as whoever runs the tests, and as root also the one a plain user has. */
const rounds = [
  { class: first, user: undefined },
  ...(root ? [{ class: "rootless" as const, user: { uid: 65_534, gid: 65_534 } }] : []),
];

describe.skipIf(!able).each(rounds)(`hostile programs in the $class class${notRun}`, ({ class: name, user }) => {
  let door: Door;
  let host: HostWatch;
  beforeAll(async () => {
    host = await watchHost();
    const env = { PATH: process.env.PATH ?? "", CONFIG_DIR: resolve("configs"), HOSTILE_SECRET: host.facts.secret };
    door = openDoor("dist/src/cli/main.js", { env, ...(user && { user }) });
  });
  afterAll(async () => {
    await door.close();
    host.close();
  });

  const promised = hostile.filter((one) => Array.isArray(expected(one, name)));

  test("a box that is full of processes takes none from its neighbour", async () => {
    const full = "i=0; while [ $i -lt 40 ]; do sleep 2 & i=$((i+1)); done; wait";
    const run = () => door.run({ argv: ["sh", "-c", full], files: {}, limits: { process: { pids: 48 } }, collect: [] });

    const answers = await Promise.all([run(), run()]);

    for (const answer of answers) expect(answer).toMatchObject({ reason: null, code: 0, stderr: "" });
  });

  test.each(promised.map((one) => [one.program, one] as const))("%s is contained", async (_, one) => {
    const answer = await door.run(runOf(one, "bench/hostile/programs", host.facts));

    expect(answer.class).toBe(name);
    expect(await judge(one, answer, host)).toEqual([]);
  });
});
