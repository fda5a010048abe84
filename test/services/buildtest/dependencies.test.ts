import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Tools } from "../../../src/bus/handler.ts";
import { run } from "../../../src/services/buildtest/run.ts";
import { npmProject, uploadOf } from "../../support/package.ts";
import { canIsolate, openSandbox } from "../../support/sandbox.ts";
import { message, openWorld, type World } from "../../support/world.ts";

const check = `const { add } = require("sums");
const { writeFileSync, mkdirSync } = require("node:fs");
mkdirSync("node_modules/.cache"); // as tools do
const no = ["node_modules/sums/sums.js", "/deps/more"].map((path) => {
  try { writeFileSync(path, "x"); return "written"; } catch (error) { return error.code; }
});
console.log("two is", add(1, 1), no.join(" "));
`;

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
beforeEach(() => {
  world.kept.splice(0);
  world.said.splice(0);
});
afterAll(() => world.close());

const kept = (name: string) => String(world.kept.find((one) => `${one.kind}/${one.name}` === name)?.content);
const names = () => world.kept.map(({ kind, name }) => `${kind}/${name}`);

describe.skipIf(!canIsolate)("dependencies of a project", () => {
  let folder: string;
  let sandbox: Awaited<ReturnType<typeof openSandbox>>;
  let tools: Tools;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "depot-"));
    sandbox = await openSandbox(world.log, { depot: { folder: join(folder, "depot"), bytes: 50_000_000 } });
    tools = { ...world.tools, sandbox };
  });
  afterAll(async () => {
    await sandbox?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const work = {
    prompt: "",
    workspace: {},
    upload: "0".repeat(64),
    language: null,
    build: null,
    test: null,
    max_rounds: 1,
    grounding: [],
  };
  const build = (files: Record<string, string | Uint8Array>, rest = {}, given = {}) =>
    run.handle(
      message({ work: { ...work, ...given }, written: null }, { service: "buildtest", role: "run", ...rest }),
      { ...tools, upload: async () => uploadOf(files) },
    );
  const entries = async () => {
    const [depot = ""] = await readdir(join(folder, "depot"));
    return readdir(join(folder, "depot", depot));
  };

  test("are installed in a run of their own, and are there for the tests, read-only and without a network", async () => {
    const { result, answer } = await build(await npmProject({ "check.js": check }));

    expect(answer).toMatchObject({ verdict: "pass" });
    expect(result.install).toEqual({ manager: "npm", cached: false, wall_ms: expect.any(Number), code: 0 });
    expect(kept("build-test/test.log")).toBe("two is 2 EROFS EROFS\n");
    expect(kept("build-test/install.log")).toContain("added 1 package");
    expect(world.said).toContain("installing dependencies");
  });

  test("are found again by the same tenant, and installed anew for another", async () => {
    const files = await npmProject({ "check.js": check, "other.txt": "what is no part of the lockfile" });
    const again = await build(files);
    const told = [...world.said];
    const other = await build(files, { tenant: "other" });

    expect(again.result).toMatchObject({ verdict: "pass", install: { cached: true, wall_ms: 0, code: 0 } });
    expect(told).toContain("dependencies from the cache");
    expect(other.result).toMatchObject({ verdict: "pass", install: { cached: false, code: 0 } });
    expect(await entries()).toHaveLength(2);
  });

  test("are installed once for two who ask at one time", async () => {
    const files = await npmProject({ "check.js": check });
    const both = await Promise.all([1, 2].map(() => build(files, { tenant: "both" })));

    expect(both.map(({ result }) => result.verdict)).toEqual(["pass", "pass"]);
    expect(both.map(({ result }) => result.install?.cached).sort()).toEqual([false, true]);
  });

  test("that have to come from a registry fail the trace while installs are offline, and it says what to open", async () => {
    const files = await npmProject({ "check.js": check });
    const lock = String(files["package-lock.json"]).replace("file:vendor/", "https://registry.example.org/");
    const manifest = files["package.json"].replace("file:vendor/sums-1.0.0.tgz", "1.0.0");

    await expect(
      build({
        ...files,
        "package.json": manifest,
        "package-lock.json": lock.replace("file:vendor/sums-1.0.0.tgz", "1.0.0"),
      }),
    ).rejects.toMatchObject({
      code: "install_failed",
      retry: false,
      message: expect.stringContaining("`network` of the profile 'npm'"),
    });
    expect(names()).toContain("build-test/install.log");
    expect(kept("build-test/install.log")).toContain("ENOTCACHED");
  });

  test("that cannot be installed and are not needed do no harm", async () => {
    const scripts = { test: "node check.js" };
    const lock = {
      lockfileVersion: 3,
      packages: { "node_modules/none": { version: "1.0.0", resolved: "https://registry.example.org/none.tgz" } },
    };
    const manifest = { name: "p", version: "1.0.0", scripts, devDependencies: { none: "1.0.0" } };
    const { result } = await build({
      "package.json": JSON.stringify(manifest),
      "package-lock.json": JSON.stringify(lock),
      "check.js": "console.log(1)",
    });

    expect(result).toMatchObject({ verdict: "pass", install: { cached: false, code: 1 } });
  });
});
