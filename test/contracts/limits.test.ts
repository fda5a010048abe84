import { readFile } from "node:fs/promises";
import fc from "fast-check";
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
    expect(Object.keys(shipped.profiles)).toEqual(["node", "python", "shell", "npm", "pnpm", "pip"]);
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

  test("is refused for an intent or a tenant above the maximum", () => {
    expect(wrongWith("intents", { chat: { process: { cpus: 17 } } })).toEqual([
      "intents.chat.process.cpus: is above maximum",
    ]);
    expect(wrongWith("tenants", { acme: { time: { wall_ms: 1e9 } } })[0]).toMatch(/^tenants\.acme\.time\.wall_ms: /);
    expect(wrongWith("tenants", { acme: { isolation: "off" } })[0]).toMatch(/"isolation"/);
  });

  test("is refused for a network that the maximum does not have", () => {
    const network = { mode: "allowlist", allow: [{ host: "a.test", ports: [443] }] };
    expect(wrongWith("profiles.node.network", network)).toEqual(["profiles.node.network.mode: is above maximum"]);
    expect(wrongWith("profiles.node.network", { mode: "open" })[0]).toMatch(/^profiles\.node\.network\.mode: /);
    expect(wrongWith("profiles.node.network", { allow: [{ host: "a.test" }] })[0]).toMatch(/network\.allow\.0\.ports/);
  });

  test("is refused for a bind that would show the host itself, or hide what a box has", () => {
    for (const path of ["/", "/proc/x", "/usr/../etc", "/work", "/dev/shm"]) {
      expect(wrongWith("profiles.shell.binds", [path])[0]).toMatch(/^profiles\.shell\.binds\.0: /);
    }
    expect(wrongWith("profiles.shell.binds", ["/srv/tools", "/opt/x"])).toEqual([]);
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
      wish: { time: { wall_ms: 1000, cpu_ms: 999_999_999 }, network: { on_attempt: "record" } },
    });

    expect(time).toEqual({ ...shipped.defaults.time, wall_ms: 1000 });
    expect(network.on_attempt).toBe("fail");
  });

  test("lays an intent over the profile, and lets a tenant only lower both", () => {
    const file = SandboxLimits.parse({
      ...shipped,
      intents: { "code.generate": { time: { wall_ms: 300_000 } } },
      tenants: { acme: { time: { wall_ms: 200_000, cpu_ms: 5000 }, size: { disk_bytes: 4_294_967_296 } } },
    });
    const of = (intent?: string, tenant?: string, wish = {}) => limitsFor(file, "node", { intent, tenant, wish });

    expect(of("code.generate").time.wall_ms).toBe(300_000);
    expect(of("code.generate", "acme").time).toMatchObject({ wall_ms: 200_000, cpu_ms: 5000 });
    expect(of("code.buildtest", "acme").time.wall_ms).toBe(shipped.defaults.time.wall_ms);
    expect(of("code.buildtest", "acme").size).toEqual(shipped.defaults.size);
    expect(of("code.generate", "acme", { time: { wall_ms: 999_999 } }).time.wall_ms).toBe(200_000);
    expect(of("__proto__", "constructor")).toEqual(of());
  });

  test("never gives more than the profile, whatever tenant and run wish for", () => {
    const numbers = { time: shipped.defaults.time, size: shipped.defaults.size, process: shipped.defaults.process };
    const anyWish = fc.record(
      Object.fromEntries(
        Object.entries(numbers).map(([section, limits]) => [
          section,
          fc.record(Object.fromEntries(Object.keys(limits).map((name) => [name, fc.nat()])), { requiredKeys: [] }),
        ]),
      ),
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(anyWish, anyWish, (tenant, wish) => {
        const file = { ...shipped, tenants: { acme: tenant } };
        const given = (() => {
          try {
            return limitsFor(file, "node", { tenant: "acme", wish });
          } catch {
            return null; // lower than any box can be
          }
        })();
        for (const section of ["time", "size", "process"] as const) {
          for (const [name, value] of Object.entries(given?.[section] ?? {})) {
            expect(value).toBeLessThanOrEqual((shipped.defaults[section] as Record<string, number>)[name] ?? 0);
          }
        }
      }),
    );
  });

  test("opens to a run no more of the network than file, tenant and run allow together", () => {
    const allow = [
      { host: "a.test", ports: [80, 443] },
      { host: "*.b.test", ports: [443] },
    ];
    const network = { mode: "allowlist" as const, allow, bytes: 1000, on_attempt: "record" as const };
    const file = SandboxLimits.parse({
      ...shipped,
      profiles: { open: { programs: [], binds: [], environment: {}, network } },
      tenants: {
        acme: {
          network: {
            allow: [{ host: "x.b.test", ports: [443] }],
          },
        },
      },
      maximum: { ...shipped.maximum, network },
    });

    expect(limitsFor(file, "open").network).toEqual(network);
    expect(limitsFor(file, "open", { tenant: "acme" }).network.allow).toEqual([{ host: "x.b.test", ports: [443] }]);
    const wish = {
      network: {
        allow: [
          { host: "a.test", ports: [443, 22] },
          { host: "a.test", ports: [80] },
        ],
        bytes: 9999,
      },
    };
    expect(limitsFor(file, "open", { wish }).network).toMatchObject({
      allow: [{ host: "a.test", ports: [80] }],
      bytes: 1000,
    });
    expect(limitsFor(file, "open", { wish: { network: { mode: "none" } } }).network.mode).toBe("none");
    expect(limitsFor(shipped, "node", { wish: { network } }).network).toMatchObject({ mode: "none", allow: [] });
  });

  test("refuses a profile that there is not, and says which there are", () => {
    for (const name of ["cobol", "constructor", "__proto__"]) {
      expect(() => limitsFor(shipped, name)).toThrow(/there are node, python, shell/);
    }
  });
});
