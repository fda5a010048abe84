import fc from "fast-check";
import { expect, test } from "vitest";
import { packed, tarOf } from "../../src/client/tar.ts";
import { openTar, type TarEntry } from "../../src/rules/tar.ts";

async function tarred(files: Record<string, Uint8Array>): Promise<Buffer> {
  async function* all() {
    for (const [path, content] of Object.entries(files)) {
      yield {
        path,
        bytes: content.length,
        content: (async function* () {
          yield content;
        })(),
      };
    }
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of tarOf(all())) pieces.push(piece);
  return Buffer.concat(pieces);
}

function read(tar: Uint8Array, step: number): TarEntry[] {
  const entries: TarEntry[] = [];
  const reader = openTar((entry) => entries.push(entry));
  for (let at = 0; at < tar.length; at += step) reader.feed(Uint8Array.from(tar.subarray(at, at + step)));
  reader.end();
  return entries;
}

const name = fc.stringMatching(/^[a-zé]{1,120}$/);
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));

test("whatever the pieces it comes in, every file is found with the place of its bytes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(path, fc.uint8Array({ maxLength: 2000 }), { maxKeys: 6 }),
      fc.integer({ min: 1, max: 3000 }),
      async (files, step) => {
        const tar = await tarred(files);
        const found = read(tar, step).map((entry) => {
          if (entry.kind !== "file") throw new Error(`${entry.path} is no file`);
          return [entry.path, new Uint8Array(tar.subarray(entry.offset, entry.offset + entry.bytes))];
        });
        expect(Object.fromEntries(found)).toEqual(
          Object.fromEntries(Object.entries(files).map(([one, bytes]) => [one, new Uint8Array(bytes)])),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test("the same files are the same tar", async () => {
  const files = { a: Buffer.from("1"), "b/c": Buffer.from("") };

  expect(await tarred(files)).toEqual(await tarred(files));
});

test("what is no tar, or was cut off, is refused", async () => {
  const tar = await tarred({ a: Buffer.alloc(1000, 1) });

  expect(() => read(Buffer.from("no tar at all".repeat(100)), 64)).toThrow("no tar");
  expect(() => read(tar.subarray(0, 900), 64)).toThrow("cut off");
});

test("a link is told as one", async () => {
  const tar = await tarred({ there: Buffer.from("") });
  const head = Buffer.from(tar.subarray(0, 512));
  head.write("2", 156);
  head.write(" ".repeat(8), 148);
  head.write(
    `${head
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );

  expect(read(Buffer.concat([head, Buffer.alloc(1024)]), 512)).toEqual([{ kind: "link", path: "there" }]);
});

test("packed pieces are the same bytes, also where each piece is written over by the next", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 12 }), async (lengths) => {
      const scratch = Buffer.alloc(100_000);
      async function* pieces() {
        for (const [n, length] of lengths.entries()) yield scratch.fill(n + 1).subarray(0, length);
      }

      const packs: Uint8Array[] = [];
      for await (const pack of packed(pieces())) packs.push(pack);

      const whole = Buffer.concat(lengths.map((length, n) => Buffer.alloc(length, n + 1)));
      expect(Buffer.concat(packs).equals(whole)).toBe(true);
      expect(packs.length).toBe(Math.ceil(whole.length / 131_072));
    }),
  );
});
