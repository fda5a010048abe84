/** A file on its way into a tar. A piece of its content is good until the next one is asked for. */
export type TarFile = { path: string; bytes: number; content: AsyncIterable<Uint8Array> };

const block = 512;
const packBytes = 131_072;

/** Pieces of any size as fewer, larger ones: many small files are sent in few writes, and leave little to clear away. */
export async function* packed(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let pack = Buffer.allocUnsafeSlow(packBytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const fits = Math.min(piece.length - at, packBytes - filled);
      pack.set(piece.subarray(at, at + fits), filled);
      at += fits;
      filled += fits;
      if (filled < packBytes) continue;
      yield pack;
      pack = Buffer.allocUnsafeSlow(packBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield pack.subarray(0, filled);
}

/**
 * Files as a tar (ustar; pax for names it has no room for), piece by piece. Nothing in it but names and bytes, so the same
 * files in the same order are the same tar. Throws when a file has not as many bytes as it said.
 */
export async function* tarOf(files: AsyncIterable<TarFile>): AsyncGenerator<Uint8Array, void> {
  for await (const { path, bytes, content } of files) {
    const record = recordOf(path);
    if (Buffer.byteLength(path) > 100) {
      yield head({ name: "pax", bytes: record.length, kind: "x" });
      yield* [record, Buffer.alloc(padding(record.length))];
    }
    yield head({ name: Buffer.from(path).toString("latin1").slice(0, 100), bytes, kind: "0" });
    let came = 0;
    for await (const piece of content) {
      came += piece.length;
      if (came > bytes) throw new Error(`${path} grew while it was read`);
      yield piece;
    }
    if (came < bytes) throw new Error(`${path} shrank while it was read`);
    if (bytes % block > 0) yield Buffer.alloc(padding(bytes));
  }
  yield Buffer.alloc(2 * block);
}

function padding(bytes: number): number {
  return (block - (bytes % block)) % block;
}

/** `length path=…\n`, where the length counts its own digits. */
function recordOf(path: string): Buffer {
  const rest = Buffer.byteLength(` path=${path}\n`);
  const digits = [1, 2, 3, 4, 5].find((count) => String(rest + count).length === count) ?? 6;
  return Buffer.from(`${rest + digits} path=${path}\n`);
}

function head({ name, bytes, kind }: { name: string; bytes: number; kind: string }): Buffer {
  const bare = Buffer.alloc(block);
  bare.write(name, 0, 100, "latin1");
  bare.write("0000644\0", 100);
  bare.write("0000000\0", 108);
  bare.write("0000000\0", 116);
  bare.write(`${bytes.toString(8).padStart(11, "0")}\0`, 124);
  bare.write(`${"0".repeat(11)}\0`, 136);
  bare.write(" ".repeat(8), 148);
  bare.write(kind, 156);
  bare.write("ustar\x0000", 257, "latin1");
  const sum = bare.reduce((total, byte) => total + byte, 0);
  bare.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return bare;
}
