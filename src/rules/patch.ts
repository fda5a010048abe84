import { inflateSync } from "node:zlib";
import { Failure } from "../contracts/failure.ts";
import { WorkspacePath } from "../contracts/work.ts";

/** A change to one file. `from` null: it is new; `to` null: it goes. */
export type FilePatch = {
  from: string | null;
  to: string | null;
  removes: boolean; // `from` is gone afterwards: deleted or renamed
  hunks: Hunk[];
  binary: Binary | null;
};

type Hunk = { at: number; lines: { sign: " " | "-" | "+"; text: string }[] }; // texts with their line ends, as latin1
type Binary = { kind: "literal" | "delta"; bytes: Uint8Array };

const mostFiles = 2000;
const mostLooks = 20_000_000; // lines compared until one hunk has its place
const mostBytes = 33_554_432; // of one file that a binary part unpacks to

/**
 * Reads a unified diff as `git diff --binary` writes it. Its texts are bytes, one letter each (latin1), so that what is
 * not UTF-8 stays as it is. Throws `invalid_request` for what cannot be read: nothing of a patch is applied by halves.
 */
export function readPatch(patch: string): FilePatch[] {
  const lines = Buffer.from(patch)
    .toString("latin1")
    .split(/(?<=\n)/);
  const found: FilePatch[] = [];
  let at = 0;
  const peek = () => (lines[at] ?? "").replace(/\r?\n$/, "");

  function header(): void {
    const file: FilePatch = { from: null, to: null, removes: false, hunks: [], binary: null };
    const [, a, b] = /^diff --git (?:a\/(.+?)|"a\/.+") (?:b\/(.+)|"b\/.+")$/.exec(peek()) ?? [];
    if (peek().startsWith("diff --git ")) {
      at += 1;
      file.from = a ?? null;
      file.to = b ?? null;
    }
    for (; at < lines.length && !/^(@@ |diff --git |GIT binary patch$)/.test(peek()); at += 1) {
      const line = peek();
      const value = line.replace(/^.*? (?:from|to) /, "");
      if (line.startsWith("new file mode")) file.from = null;
      else if (line.startsWith("deleted file mode")) file.to = null;
      else if (line.startsWith("rename from ")) [file.from, file.removes] = [value, true];
      else if (line.startsWith("copy from ")) file.from = value;
      else if (/^(rename|copy) to /.test(line)) file.to = value;
      else if (line.startsWith("--- ")) file.from = nameIn(line, file.from);
      else if (line.startsWith("+++ ")) {
        file.to = nameIn(line, file.to);
        at += 1;
        break;
      } else if (line.startsWith("Binary files ")) throw refusal("names a binary file without its bytes: use --binary");
    }
    if (file.to === null) file.removes = true;
    if (peek() === "GIT binary patch") binary(file);
    while (peek().startsWith("@@ ")) file.hunks.push(hunk());
    if (file.from === null && file.to === null) throw refusal("names no file");
    file.from = plainName(file.from);
    file.to = plainName(file.to);
    found.push(file);
    if (found.length > mostFiles) throw refusal(`changes more than ${mostFiles} files`);
  }

  function hunk(): Hunk {
    const [, start, olds = "1", news = "1"] = /^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(peek()) ?? [];
    if (start === undefined) throw refusal("has a hunk without its lines");
    at += 1;
    const one: Hunk = { at: Number(start), lines: [] };
    for (let [old, fresh] = [Number(olds), Number(news)]; old > 0 || fresh > 0; at += 1) {
      const line = lines[at];
      const sign = line === undefined || /^\r?\n$/.test(line) ? " " : line[0];
      if (line === undefined || (sign !== " " && sign !== "-" && sign !== "+")) throw refusal("ends in a hunk");
      one.lines.push({ sign, text: /^\r?\n$/.test(line) ? line : line.slice(1) });
      if (sign !== "+") old -= 1;
      if (sign !== "-") fresh -= 1;
      if (lines[at + 1]?.startsWith("\\")) {
        const last = one.lines.at(-1);
        if (last) last.text = last.text.replace(/\r?\n$/, "");
        at += 1;
      }
    }
    return one;
  }

  function binary(file: FilePatch): void {
    at += 1;
    const [, kind, size] = /^(literal|delta) (\d+)$/.exec(peek()) ?? [];
    if ((kind !== "literal" && kind !== "delta") || Number(size) > mostBytes)
      throw refusal("has a binary part too large");
    at += 1;
    const parts: Buffer[] = [];
    for (; /^[A-Za-z]/.test(peek()); at += 1) parts.push(line85(peek()));
    try {
      file.binary = { kind, bytes: inflateSync(Buffer.concat(parts), { maxOutputLength: mostBytes }) };
    } catch {
      throw refusal("has a binary part that cannot be unpacked");
    }
    if (file.binary.bytes.length !== Number(size)) throw refusal("has a binary part of another length than it says");
    // What stands behind is the way back; nobody goes it.
    while (at < lines.length && !peek().startsWith("diff --git ")) at += 1;
  }

  while (at < lines.length) {
    if (/^(diff --git |--- )/.test(peek())) header();
    else at += 1; // a letter around the patch
  }
  if (found.length === 0) throw refusal("has no change in it");
  return found;
}

/** The bytes of a file after its change; null when it is gone. Throws `invalid_request` when the change does not fit. */
export function applyPatch(before: Uint8Array | null, { from, to, hunks, binary }: FilePatch): Uint8Array | null {
  if (from !== null && before === null) throw refusal(`changes ${from}, which is not there`);
  if (binary) return to === null ? null : binaryOf(before, binary);
  const lines = Buffer.from(before ?? new Uint8Array())
    .toString("latin1")
    .split(/(?<=\n)/);
  if (lines.at(-1) === "") lines.pop();
  const after: string[] = [];
  let done = 0;
  for (const one of hunks) {
    const old = one.lines.filter(({ sign }) => sign !== "+").map(({ text }) => text);
    const place = placeOf(lines, old, { from: done, about: Math.max(0, one.at - (old.length === 0 ? 0 : 1)) });
    if (place === null) throw refusal(`does not fit ${from ?? to} at line ${one.at}`);
    after.push(...lines.slice(done, place), ...freshOf(one, lines.slice(place, place + old.length)));
    done = place + old.length;
  }
  if (to === null) return null;
  return Buffer.from([...after, ...lines.slice(done)].join(""), "latin1");
}

/** Where these lines stand, nearest to where they should: exactly, or but for the line ends of Windows. */
function placeOf(lines: string[], wanted: string[], { from, about }: { from: number; about: number }): number | null {
  const last = lines.length - wanted.length;
  let looks = 0; // lines that repeat make the search quadratic
  for (const same of [(a: string, b: string) => a === b, (a: string, b: string) => bare(a) === bare(b)]) {
    for (let off = 0; off <= Math.max(about, lines.length); off += 1) {
      for (const at of off === 0 ? [about] : [about - off, about + off]) {
        if (at < from || at > last) continue;
        const unlike = wanted.findIndex((line, n) => !same(line, lines[at + n] ?? ""));
        if (unlike === -1) return at;
        looks += unlike;
        if (looks > mostLooks) throw refusal("has a hunk of lines that repeat too often to find their place");
      }
    }
  }
  return null;
}

/** The lines of a hunk as they will stand: what stays keeps its own line end, what is new takes that of its neighbours. */
function freshOf({ lines }: Hunk, old: string[]): string[] {
  const windows = old.length > 0 && old.every((line) => /\r\n$/.test(line) || !line.endsWith("\n"));
  const foreign = old.some((line, n) => line !== lines.filter(({ sign }) => sign !== "+")[n]?.text);
  let at = 0;
  return lines.flatMap(({ sign, text }) => {
    if (sign === "+") return foreign ? [text.replace(/\r?\n$/, windows ? "\r\n" : "\n")] : [text];
    const own = old[at++] ?? text;
    return sign === " " ? [own] : [];
  });
}

function bare(line: string): string {
  return line.replace(/\r?\n$/, "");
}

function nameIn(line: string, known: string | null): string | null {
  const name = line.slice(4).replace(/\t.*$/, "");
  if (name === "/dev/null") return null;
  if (name.startsWith('"')) return unquoted(name).replace(/^[ab]\//, "");
  return known ?? name.replace(/^[ab]\//, "");
}

/** A name as git quotes it: C's escapes, bytes in octal. */
function unquoted(name: string): string {
  const short: Record<string, string> = { n: "\n", t: "\t", r: "\r", '"': '"', "\\": "\\" };
  return name
    .slice(1, name.endsWith('"') ? -1 : undefined)
    .replaceAll(/\\([0-7]{3}|.)/g, (_, code) => short[code] ?? String.fromCharCode(Number.parseInt(code, 8) & 255));
}

/** A name as we write it. Throws when it leaves the project. */
function plainName(name: string | null): string | null {
  if (name === null) return null;
  const path = WorkspacePath.safeParse(Buffer.from(name, "latin1").toString("utf8"));
  if (path.success) return path.data;
  throw refusal(`leaves the project: ${name.slice(0, 200)}`);
}

const digits85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/** A line of git's base 85: its length as a letter, then four bytes in five letters. */
function line85(line: string): Buffer {
  const first = line.charCodeAt(0);
  const length = first >= 97 ? first - 97 + 27 : first - 65 + 1;
  const bytes = Buffer.alloc(Math.ceil(length / 4) * 4);
  for (let group = 0; group * 4 < length; group += 1) {
    const letters = line.slice(1 + group * 5, 6 + group * 5);
    const value = [...letters].reduce((sum, letter) => sum * 85 + digits85.indexOf(letter), 0);
    if (letters.length < 5 || value < 0 || value > 0xffff_ffff) throw refusal("has a binary part that is none");
    bytes.writeUInt32BE(value, group * 4);
  }
  return bytes.subarray(0, length);
}

/** A binary change: the bytes themselves, or git's delta against what was there. */
function binaryOf(before: Uint8Array | null, { kind, bytes }: Binary): Uint8Array {
  if (kind === "literal") return bytes;
  const base = before ?? new Uint8Array();
  let at = 0;
  const byte = () => bytes[at++] ?? 0;
  const size = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const part = byte();
      value += (part & 0x7f) * 2 ** shift;
      if (part < 0x80 || shift > 42) return value;
    }
  };
  const [from, to] = [size(), size()];
  if (from !== base.length || to > mostBytes) throw refusal("has a binary part for another file");
  const parts: Uint8Array[] = [];
  let length = 0; // a byte may ask for many: what is more than was said is never put together
  while (at < bytes.length && length <= to) {
    const part = next(byte());
    length += part.length;
    parts.push(part);
  }
  if (length !== to) throw refusal("has a binary part that does not fit");
  return Buffer.concat(parts);

  function next(order: number): Uint8Array {
    if (order < 0x80) {
      at += order;
      return bytes.subarray(at - order, at);
    }
    const [offset, most] = [few(order, 4), few(order >> 4, 3)];
    return base.subarray(offset, offset + (most || 0x10000));
  }

  function few(flags: number, count: number): number {
    let value = 0;
    for (let n = 0; n < count; n += 1) if (flags & (1 << n)) value += byte() * 256 ** n;
    return value;
  }
}

function refusal(why: string): Failure {
  return new Failure("invalid_request", `the patch ${why}`, { errors: [{ in: "body", path: "/patch", message: why }] });
}
