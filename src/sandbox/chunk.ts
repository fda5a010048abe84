/** What a chunk carries: a piece of a file that goes in, of what a step prints, or of a file that comes back. */
export type ChunkKind = "input" | "stdout" | "stderr" | "file";

/** A binary frame. `index` is the file's number, or the step's. */
export type WireChunk = { kind: ChunkKind; run: number; index: number; bytes: Buffer };

const kinds: ChunkKind[] = ["input", "stdout", "stderr", "file"];
const headBytes = 9; // kind u8, run u32, index u32, big-endian

/** The most bytes of one chunk. */
export const chunkBytes = 65_536;

/** A chunk as the bytes of a binary frame. */
export function encodeChunk({ kind, run, index, bytes }: WireChunk): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + bytes.length);
  frame.writeUInt8(kinds.indexOf(kind) + 1, 0);
  frame.writeUInt32BE(run, 1);
  frame.writeUInt32BE(index, 5);
  bytes.copy(frame, headBytes);
  return frame;
}

/** The chunk of a binary frame; null when it is none. */
export function decodeChunk(frame: Buffer): WireChunk | null {
  if (frame.length <= headBytes || frame.length > headBytes + chunkBytes) return null;
  const kind = kinds[frame.readUInt8(0) - 1];
  if (!kind) return null;
  return { kind, run: frame.readUInt32BE(1), index: frame.readUInt32BE(5), bytes: frame.subarray(headBytes) };
}

/** Bytes in pieces that fit into a chunk. */
export function* slices(bytes: Uint8Array): Generator<Buffer> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < all.length; at += chunkBytes) yield all.subarray(at, at + chunkBytes);
}
