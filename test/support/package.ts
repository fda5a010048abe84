import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { tarOf } from "../../src/client/tar.ts";
import type { Upload } from "../../src/contracts/upload.ts";

/** Files of a project, path to text or bytes, as an upload. */
export function uploadOf(files: Record<string, string | Uint8Array>): Upload {
  const bytes = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]));
  return {
    files: new Map([...bytes].map(([path, content]) => [path, content.length])),
    links: new Set(),
    async *read(path) {
      yield bytes.get(path) ?? Buffer.alloc(0);
    },
  };
}

/** A package as `npm pack` makes it. */
export async function packageOf(files: Record<string, string>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of tarOf(entries(files))) pieces.push(Buffer.from(piece));
  return gzipSync(Buffer.concat(pieces));
}

async function* entries(files: Record<string, string>) {
  for (const [path, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    yield { path: `package/${path}`, bytes: content.length, content: one(content) };
  }
}

async function* one(content: Buffer) {
  yield content;
}

/** A project of npm's with one dependency, `sums`, that lies in it as a tarball, with a program of its own. */
export async function npmProject(rest: Record<string, string>, { test = "sums-test" } = {}) {
  const tarball = await packageOf({
    "package.json": JSON.stringify({
      name: "sums",
      version: "1.0.0",
      main: "sums.js",
      bin: { "sums-test": "test.js" },
    }),
    "sums.js": "exports.add = (a, b) => a + b;\n",
    "test.js": `#!/usr/bin/env node\nrequire("/work/check.js");\n`,
  });
  const dependencies = { sums: "file:vendor/sums-1.0.0.tgz" };
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  const resolved = dependencies.sums;
  const lock = {
    name: "project",
    version: "1.0.0",
    lockfileVersion: 3,
    packages: {
      "": { name: "project", version: "1.0.0", dependencies },
      "node_modules/sums": { version: "1.0.0", resolved, integrity, bin: { "sums-test": "test.js" } },
    },
  };
  return {
    "package.json": JSON.stringify({ name: "project", version: "1.0.0", dependencies, scripts: { test } }),
    "package-lock.json": JSON.stringify(lock),
    "vendor/sums-1.0.0.tgz": tarball,
    ...rest,
  };
}
