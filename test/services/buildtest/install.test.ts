import { describe, expect, test } from "vitest";
import { planInstall, remedyIn } from "../../../src/services/buildtest/install.ts";

const lock = (packages: Record<string, object>) =>
  JSON.stringify({ lockfileVersion: 3, packages: { "": {}, ...packages } });
const plan = (texts: Record<string, string>, { language = "node", more = [] as string[] } = {}) =>
  planInstall(language, [...Object.keys(texts), ...more], texts);

describe("what a project needs installed", () => {
  const sums = { "node_modules/sums": { version: "1.0.0", resolved: "https://registry.example.org/sums.tgz" } };

  test("npm: by a lockfile that names packages; only what decides about them goes along", () => {
    const files = { "package.json": "{}", "package-lock.json": lock(sums), ".npmrc": "", "a.js": "" };

    expect(plan(files)).toEqual({
      manager: "npm",
      command: "npm ci --ignore-scripts --no-audit --no-fund",
      files: ["package.json", "package-lock.json", ".npmrc"],
      folder: "node_modules",
    });
  });

  test("npm: a tarball of the project that the lockfile names", () => {
    const texts = {
      "package.json": "{}",
      "package-lock.json": lock({ "node_modules/a": { resolved: "file:vendor/a%20b.tgz" } }),
    };

    expect(plan(texts, { more: ["vendor/a b.tgz", "vendor/c.tgz"] })).toMatchObject({
      files: ["package.json", "package-lock.json", "vendor/a b.tgz"],
    });
  });

  test.each([
    ["nothing without a lockfile", { "package.json": '{"dependencies":{"a":"1"}}' }, []],
    ["nothing for a lockfile that names nothing", { "package.json": "{}", "package-lock.json": lock({}) }, []],
    [
      "nothing where node_modules came along",
      { "package.json": "{}", "package-lock.json": lock(sums) },
      ["node_modules/a/a.js"],
    ],
    [
      "nothing for a pnpm lockfile that names nothing",
      { "package.json": "{}", "pnpm-lock.yaml": "lockfileVersion: '9.0'\n" },
      [],
    ],
    ["nothing of python's in a project of node's", { "a.js": "", "requirements.txt": "pytest\n" }, []],
  ])("%s", (_, texts, more) => {
    expect(plan(texts, { more })).toBeNull();
  });

  test.each([
    [
      "a link to a folder",
      { "node_modules/a": { resolved: "packages/a", link: true }, "packages/a": {} },
      "links node_modules/a",
    ],
    ["a tarball outside", { "node_modules/a": { resolved: "file:../a.tgz" } }, "names file:../a.tgz"],
    ["a tarball that is not there", { "node_modules/a": { resolved: "file:a.tgz" } }, "names file:a.tgz"],
    ["a folder", { "node_modules/a": { resolved: "file:a" } }, "names file:a,"],
  ])("npm: refuses %s", (_, packages, why) => {
    const texts = { "package.json": "{}", "package-lock.json": lock(packages) };

    expect(plan(texts, { more: ["packages/a/package.json", "a"] })).toEqual({
      manager: "npm",
      refused: expect.stringContaining(why),
    });
  });

  test("npm: refuses a lockfile that is none", () => {
    expect(plan({ "package.json": "{}", "package-lock.json": "{" })).toMatchObject({ refused: expect.any(String) });
  });

  test("pnpm: with its patches and its tarballs", () => {
    const text =
      "lockfileVersion: '9.0'\n\npackages:\n\n  a@file:vendor/a.tgz:\n    resolution: {integrity: x, tarball: file:vendor/a.tgz}\n";
    const files = { "package.json": "{}", "pnpm-lock.yaml": text };

    expect(plan(files, { more: ["vendor/a.tgz", "patches/a.patch", "patches/deep/b.patch"] })).toMatchObject({
      manager: "pnpm",
      files: ["package.json", "pnpm-lock.yaml", "patches/a.patch", "vendor/a.tgz"],
      folder: "node_modules",
    });
    const linked = `${text}\nimporters:\n  .:\n    b:\n      version: link:../b\n`;
    expect(plan({ ...files, "pnpm-lock.yaml": linked })).toMatchObject({
      refused: expect.stringContaining("link:../b"),
    });
  });

  test("pip: by requirements, with the lists they name and wheels of the project", () => {
    const texts = {
      "requirements.txt": "# all\n-r requirements-dev.txt\npytest==8.0 # tests\n",
      "requirements-dev.txt": "ruff\n",
    };

    expect(plan(texts, { language: "python", more: ["vendor/a-1-py3-none-any.whl", "deep/vendor/b.whl"] })).toEqual({
      manager: "pip",
      command:
        "python3 -m pip install --only-binary :all: --no-compile --target site -r requirements.txt --find-links vendor",
      files: ["requirements-dev.txt", "requirements.txt", "vendor/a-1-py3-none-any.whl"],
      folder: "site",
    });
    expect(plan({ "requirements.txt": "# none\n\n" }, { language: "python" })).toBeNull();
  });

  test.each(["-e .", "--editable ./a", "../a", "./a", ".", "/opt/a", "file:///a", "a @ file:../b"])(
    "pip: refuses %s",
    (line) => {
      const texts = { "requirements.txt": `pytest\n${line}\n` };

      expect(plan(texts, { language: "python" })).toMatchObject({ refused: expect.stringContaining(line) });
    },
  );

  test("pip: takes a wheel by its path", () => {
    expect(plan({ "requirements.txt": "./vendor/a-1-py3-none-any.whl\n" }, { language: "python" })).toMatchObject({
      manager: "pip",
    });
  });
});

test.each([
  ["npm", 127, "sh: 1: npm: not found", "the sandbox has no npm"],
  ["npm", 1, "npm error code ENOTCACHED", "`network` of the profile 'npm'"],
  ["pip", 1, "ERROR: No matching distribution found for a", "`network` of the profile 'pip'"],
  [
    "npm",
    1,
    "npm ci can only install packages when your package.json and package-lock.json are not in sync",
    "does not fit",
  ],
  ["pnpm", 1, "ERR_PNPM_NO_OFFLINE_TARBALL", "`network` of the profile 'pnpm'"],
  ["npm", 1, "what nobody knows", "install.log"],
] as const)("what to do when %s ends with %i: %s", (manager, code, log, words) => {
  expect(remedyIn(manager, { code, log })).toContain(words);
});
