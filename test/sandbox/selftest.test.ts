import { spawnSync } from "node:child_process";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findHierarchies } from "../../src/sandbox/cgroup.ts";
import { inspectHost } from "../../src/sandbox/host.ts";
import { readMounts } from "../../src/sandbox/mounts.ts";
import { chooseGround } from "../../src/sandbox/selftest.ts";
import { findTools } from "../../src/sandbox/tools.ts";
import { shipped } from "./ground.ts";

// Both are asked of the machine itself, without our code: a layer of ours that breaks must turn these tests red, not off.
const bwrap = spawnSync("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"]).status === 0;
const root = process.getuid?.() === 0;
const cgroups = root && process.platform === "linux" && mayWriteCgroups();

function mayWriteCgroups(): boolean {
  try {
    for (const at of findHierarchies(readMounts())?.roots ?? ["/nowhere"]) {
      mkdirSync(join(at, `probe-${process.pid}`));
      rmdirSync(join(at, `probe-${process.pid}`));
    }
    return true;
  } catch {
    return false;
  }
}

const choose = (classes: ("strict" | "rootless")[]) =>
  chooseGround({ ...shipped, classes }, { searchPath: process.env.PATH ?? "" });

describe("the class of a machine", () => {
  test.skipIf(!bwrap || !cgroups)("is strict for root with cgroups", async () => {
    const { ground, why } = await choose(["strict", "rootless"]);
    await ground?.close();

    expect({ name: ground?.class, why }).toEqual({ name: "strict", why: null });
  });

  test.skipIf(!bwrap)("is rootless where bwrap works and no more is asked for", async () => {
    const { ground, why } = await choose(["rootless"]);
    await ground?.close();

    expect({ name: ground?.class, why }).toEqual({ name: "rootless", why: null });
    expect(ground?.profiles).toEqual(expect.arrayContaining(["node", "shell"]));
  });

  test.skipIf(root)(
    "is none for a plain user where only strict is allowed, and the reason says what to do",
    async () => {
      const { ground, why } = await choose(["strict"]);

      expect(ground).toBeNull();
      expect(why).toContain("start the sandbox worker as root");
    },
  );

  test("is known to the doctor without a box: what is missing, and what brings it", () => {
    const { lacks, platform } = inspectHost();

    expect(platform).toBe(`${process.platform}-${process.arch}`);
    expect(lacks.strict).toEqual(expect.arrayContaining(lacks.rootless));
    for (const tool of findTools().missing) expect(lacks.rootless).toContain(tool);
    if (findTools().missing.length > 0) expect(lacks.rootless.join()).toMatch(/it comes with/);
  });
});
