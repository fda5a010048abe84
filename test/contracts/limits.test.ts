import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { limitsFor, SandboxLimits } from "../../src/contracts/limits.ts";

const text = await readFile("configs/sandbox_limits.json", "utf8");
const shipped = SandboxLimits.parse(JSON.parse(text));

/** What is wrong with the shipped file once `value` stands at `path`; undefined takes the place away. */
function wrongWith(path: string, value: unknown): string[] {
  const file = JSON.parse(text);
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  const section = keys.reduce((at, key) => at[key], file);
  if (value === undefined) delete section[last];
  else section[last] = value;
  const parsed = SandboxLimits.safeParse(file);
  return parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

describe("sandbox_limits.json", () => {
  test("is taken as it is shipped", () => {
    expect(Object.keys(shipped.profiles)).toEqual(["node", "python", "shell"]);
    expect(shipped.classes).toEqual(["strict", "rootless"]);
  });

  test("is refused for a key that nobody knows, and the key is named", () => {
    expect(wrongWith("defaults.size.memory_byte", 1)[0]).toMatch(/^defaults\.size: .*"memory_byte"/);
    expect(wrongWith("isolation", "off")[0]).toMatch(/"isolation"/);
    expect(wrongWith("profiles.node.time", { wal_ms: 5 })[0]).toMatch(/^profiles\.node\.time: .*"wal_ms"/);
  });

  test("is refused for a limit that is missing or is not a number, and the limit is named", () => {
    expect(wrongWith("defaults.process.pids", undefined)[0]).toMatch(/^defaults\.process\.pids: /);
    expect(wrongWith("defaults.time.wall_ms", "120000")[0]).toMatch(/^defaults\.time\.wall_ms: /);
    expect(wrongWith("maximum.size.disk_bytes", null)[0]).toMatch(/^maximum\.size\.disk_bytes: /);
    expect(wrongWith("defaults.size.inodes", -1)[0]).toMatch(/^defaults\.size\.inodes: /);
  });

  test("is refused for a profile above the maximum", () => {
    expect(wrongWith("profiles.shell.size", { memory_bytes: 9_000_000_000 })).toEqual([
      "profiles.shell.size.memory_bytes: is above maximum",
    ]);
  });

  test("is refused for a class that there is not, and for none", () => {
    expect(wrongWith("classes", ["none"])[0]).toMatch(/^classes\.0: /);
    expect(wrongWith("classes", [])[0]).toMatch(/^classes: /);
  });

  test("is refused for a program with a folder and a bind that is not absolute", () => {
    expect(wrongWith("profiles.shell.programs", ["../sh"])[0]).toMatch(/^profiles\.shell\.programs\.0: /);
    expect(wrongWith("profiles.shell.binds", ["data"])[0]).toMatch(/^profiles\.shell\.binds\.0: /);
  });
});

describe("limitsFor", () => {
  test("lays the profile over the defaults", () => {
    const file = {
      ...shipped,
      profiles: { quick: { programs: [], binds: [], environment: {}, time: { wall_ms: 5 } } },
    };

    const { time, size } = limitsFor(file, "quick");

    expect(time).toEqual({ ...shipped.defaults.time, wall_ms: 5 });
    expect(size).toEqual(shipped.defaults.size);
  });

  test("lets a wish lower a limit, and never raise one", () => {
    const { time, network } = limitsFor(shipped, "node", {
      time: { wall_ms: 1000, cpu_ms: 999_999_999 },
      network: { on_attempt: "record" },
    });

    expect(time).toEqual({ ...shipped.defaults.time, wall_ms: 1000 });
    expect(network.on_attempt).toBe("fail");
  });

  test("refuses a profile that there is not, and says which there are", () => {
    for (const name of ["cobol", "constructor", "__proto__"]) {
      expect(() => limitsFor(shipped, name)).toThrow(/there are node, python, shell/);
    }
  });
});
