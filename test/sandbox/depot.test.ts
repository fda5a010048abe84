import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { keptName, leaveDepot, openDepot } from "../../src/sandbox/depot.ts";

const most = { bytes: 1_000_000, entries: 100 };

describe("a depot", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "depot-test-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const at = (...parts: string[]) => join(folder, ...parts);
  const open = (bytes = 1_000_000) => openDepot(at("depot"), { bytes, changed() {} });
  /** A folder as an install leaves it. */
  function box(name: string, files: Record<string, string>): string {
    mkdirSync(at(name, "node_modules"), { recursive: true });
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(at(name, "node_modules", path)), { recursive: true });
      writeFileSync(at(name, "node_modules", path), text);
    }
    return at(name, "node_modules");
  }
  const wish = (from: string, limits = most) => ({ from, folder: "node_modules", most: limits });
  const one = keptName("acme", "1".repeat(64));
  const two = keptName("acme", "2".repeat(64));
  const three = keptName("acme", "3".repeat(64));

  test("gives one tenant's key another name than another's", () => {
    expect(keptName("acme", "1".repeat(64))).not.toBe(keptName("other", "1".repeat(64)));
    expect(one).toMatch(/^[0-9a-f]{64}$/);
  });

  test("keeps files and links that stay inside, for all to read, and nothing that lets anybody become another", async () => {
    const from = box("a", { "sums/run.js": "#!/usr/bin/env node\n", "sums/data": "1" });
    rmSync(at("a/node_modules/sums/run.js"));
    writeFileSync(at("a/node_modules/sums/run.js"), "", { mode: 0o4755 });
    mkdirSync(at("a/node_modules/.bin"), { mode: 0o700 });
    symlinkSync("../sums/run.js", at("a/node_modules/.bin/sums"));
    const depot = open();
    await depot.keep(one, wish(from));

    const used = depot.use(one);
    expect(used?.names.sort()).toEqual([".bin", "sums"]);
    const mode = (path: string) =>
      (statSync(join(depot.folder, used?.entry ?? "", "node_modules", path)).mode & 0o7777).toString(8);
    expect([".bin", ".bin/sums", "sums/data"].map(mode)).toEqual(["755", "755", "644"]);
    expect(depot.use(two)).toBeNull();
  });

  test.each([
    [
      "a link that leads up and out",
      (at: string) => symlinkSync("../../secret", join(at, "sums/x")),
      "sums/x is a link that leads out: to ../../secret",
    ],
    [
      "a link to a path of its own",
      (at: string) => symlinkSync("/etc/passwd", join(at, "x")),
      "node_modules/x is a link that leads out: to /etc/passwd",
    ],
    [
      "a link that leads out through another",
      (at: string) => {
        mkdirSync(join(at, "sums/b/c"), { recursive: true });
        symlinkSync("../../../other", join(at, "sums/b/c/x"));
        symlinkSync("sums/b/c/x/../..", join(at, "z")); // by its letters inside, by its way outside
      },
      "node_modules/z is a link that leads out: to sums/b/c/x/../..",
    ],
    ["a file with two names", (at: string) => linkSync(join(at, "sums/a.js"), join(at, "b")), "more than one name"],
    [
      "a file that is larger than it is",
      (at: string) => writeFileSync(join(at, "big"), Buffer.alloc(1_000_001)),
      "more than 1000000 bytes",
    ],
    [
      "too many files",
      (at: string) => {
        for (let n = 0; n < 100; n++) writeFileSync(join(at, `${n}`), "");
      },
      "more than 100 files",
    ],
  ])("refuses %s, and leaves nothing of it", async (_, harm, why) => {
    const from = box("a", { "sums/a.js": "" });
    harm(from);
    const depot = open();

    await expect(depot.keep(one, wish(from))).rejects.toThrow(why);
    expect(depot.names()).toEqual([]);
    expect(readdirSync(depot.folder)).toEqual([]);
  });

  test("refuses a folder that is none", async () => {
    mkdirSync(at("a"));
    symlinkSync("/etc", at("a/node_modules"));

    await expect(open().keep(one, wish(at("a/node_modules")))).rejects.toThrow("neither a plain file nor a folder");
    await expect(open().keep(one, wish(at("b/node_modules")))).rejects.toThrow("node_modules is not there");
  });

  test("throws away what was not used for the longest time, and nothing that is in use", async () => {
    const from = box("a", { "sums/a.js": "x".repeat(10_000) });
    const depot = open(60_000); // two of them fit
    await depot.keep(one, wish(from));
    await depot.keep(two, wish(from));
    depot.use(one)?.done();
    await depot.keep(three, wish(from));
    expect(depot.names()).toEqual([one, three]);

    const held = [one, three].map((name) => depot.use(name));
    await expect(depot.keep(two, wish(from))).rejects.toThrow("do not fit");
    expect(depot.names()).toEqual([one, three]);

    for (const used of held) used?.done();
    held[1]?.done(); // twice is once
    await depot.keep(two, wish(from));
    expect(depot.names()).toEqual([three, two]);
  });

  test("two who keep the same leave one", async () => {
    const from = box("a", { "sums/a.js": "x" });
    const depot = open();
    await Promise.all([depot.keep(one, wish(from)), depot.keep(one, wish(from))]);

    expect(depot.names()).toEqual([one]);
    expect(readdirSync(depot.folder)).toHaveLength(1);
  });

  test("takes over what a worker that is gone has kept, and sweeps what it had not completed", () => {
    const gone = at("depot", "999999999-1-1");
    mkdirSync(join(gone, `${one}-5000`, "node_modules"), { recursive: true });
    mkdirSync(join(gone, "partial-7", "node_modules"), { recursive: true });
    const depot = open();

    expect(depot.names()).toEqual([one]);
    expect(readdirSync(at("depot"))).toEqual([depot.folder.split("/").at(-1)]);
    expect(readdirSync(depot.folder)).toEqual([`${one}-5000`]);
  });

  test("leaves a worker that lives what is its own", async () => {
    const first = open();
    await first.keep(one, wish(box("a", { "sums/a.js": "x" })));
    const second = open();

    expect(second.names()).toEqual([]);
    expect(first.use(one)).not.toBeNull();
    leaveDepot(second);
    leaveDepot(first);
    expect(readdirSync(at("depot"))).toEqual([first.folder.split("/").at(-1)]);
  });

  test("is refused in a folder that others may write to", () => {
    const before = process.umask(0);
    mkdirSync(at("all"), { mode: 0o777 });
    process.umask(before);

    expect(() => openDepot(at("all"), { bytes: 1, changed() {} })).toThrow("not a folder of this user alone");
  });
});
