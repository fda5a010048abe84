import { Failure } from "../contracts/failure.ts";

/** What a tar holds, as it is met: plain files with the place of their bytes, and what was left out. */
export type TarEntry =
  | { kind: "file"; path: string; bytes: number; offset: number }
  | { kind: "link"; path: string } // symbolic or hard
  | { kind: "other"; path: string; why: string };

/** Reads a tar piece by piece; nothing of it is kept but its names. `end` throws when it was cut off. */
export type TarReader = { feed(bytes: Uint8Array): void; end(): void };

const block = 512;
const longestName = 65_536; // of a header that only holds a name

/**
 * A reader of ustar, with pax's and GNU's long names (https://www.gnu.org/software/tar/manual/html_node/Standard.html).
 * `hear` is told of every entry in order. Throws `invalid_request` for what is no tar.
 */
export function openTar(hear: (entry: TarEntry) => void): TarReader {
  let held: Uint8Array = new Uint8Array(0); // of a header, or of a name, that has not come whole
  let at = 0; // of the first byte that was not looked at
  let skip = 0; // bytes of content that nobody needs here
  let naming: { kind: string; bytes: number } | null = null;
  let named: Record<string, string> = {};
  let over = false; // an empty block ends a tar

  function header(head: Uint8Array): void {
    if (head.every((byte) => byte === 0)) {
      over = true;
      return;
    }
    mustSum(head);
    const kind = text(head, 156, 1) || "0";
    const bytes = named.size === undefined ? number(head, 124, 12) : Number(named.size);
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw refusal("a size is no number");
    if ("xgLK".includes(kind)) {
      if (bytes > longestName) throw refusal("a name is too long");
      naming = { kind, bytes };
      return;
    }
    const prefix = text(head, 257, 5) === "ustar" ? text(head, 345, 155) : "";
    const own = text(head, 0, 100);
    tell({ kind, path: named.path ?? (prefix ? `${prefix}/${own}` : own), bytes });
    named = {};
    skip = padded(bytes);
  }

  function tell({ kind, path, bytes }: { kind: string; path: string; bytes: number }): void {
    const plain = path.replace(/^(\.\/)+/, "").replace(/\/+$/, "");
    if (kind === "0" || kind === "7") hear({ kind: "file", path: plain, bytes, offset: at });
    else if (kind === "1" || kind === "2") hear({ kind: "link", path: plain });
    else if (kind !== "5") hear({ kind: "other", path: plain, why: "neither a file nor a folder" });
  }

  function name({ kind, bytes }: { kind: string; bytes: number }, content: Uint8Array): void {
    const said = content.subarray(0, bytes);
    if (kind === "L") named.path = text(said, 0, bytes);
    if (kind === "x") named = { ...named, ...pax(said) };
  }

  function take(): boolean {
    const wanted = naming ? padded(naming.bytes) : block;
    if (held.length < wanted) return false;
    const part = held.subarray(0, wanted);
    held = held.subarray(wanted);
    at += wanted;
    const asked = naming;
    naming = null;
    if (asked) name(asked, part);
    else header(part);
    return true;
  }

  return {
    feed(bytes) {
      let rest = bytes;
      while (rest.length > 0 && !over) {
        const passed = Math.min(skip, rest.length);
        skip -= passed;
        at += passed;
        rest = rest.subarray(passed);
        if (rest.length === 0) return;
        const wanted = (naming ? padded(naming.bytes) : block) - held.length;
        const part = rest.subarray(0, wanted);
        held = held.length === 0 ? part : Buffer.concat([held, part]);
        rest = rest.subarray(part.length);
        while (held.length > 0 && skip === 0 && take());
      }
      held = Uint8Array.from(held); // not a view of a buffer that is used again
    },
    end() {
      if (skip > 0 || held.length > 0 || naming) throw refusal("it was cut off");
    },
  };
}

function padded(bytes: number): number {
  return Math.ceil(bytes / block) * block;
}

function text(bytes: Uint8Array, from: number, length: number): string {
  const part = bytes.subarray(from, from + length);
  const end = part.indexOf(0);
  return new TextDecoder().decode(end === -1 ? part : part.subarray(0, end));
}

/** Octal, or base 256 for what octal cannot hold. */
function number(bytes: Uint8Array, from: number, length: number): number {
  const part = bytes.subarray(from, from + length);
  const [first = 0] = part;
  if ((first & 0x80) === 0) return Number.parseInt(text(part, 0, length).trim() || "0", 8);
  return part.reduce((sum, byte, n) => sum * 256 + (n === 0 ? byte & 0x7f : byte), 0);
}

/** Records of `length key=value\n`. */
function pax(bytes: Uint8Array): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at < bytes.length; ) {
    const length = Number.parseInt(text(bytes, at, 20), 10);
    if (!(length > 0) || at + length > bytes.length) throw refusal("a name is written wrong");
    const [key = "", value] = splitOnce(new TextDecoder().decode(bytes.subarray(at, at + length - 1)));
    if ((key === "path" || key === "size") && value !== undefined) found[key] = value;
    at += length;
  }
  return found;
}

function splitOnce(record: string): [string, string | undefined] {
  const [, key = "", value] = /^\d+ ([^=]*)=([\s\S]*)$/.exec(record) ?? [];
  return [key, value];
}

function mustSum(head: Uint8Array): void {
  const said = number(head, 148, 8);
  const sum = head.reduce((total, byte, n) => total + (n >= 148 && n < 156 ? 32 : byte), 0);
  if (sum !== said) throw refusal("a header is not one");
}

function refusal(why: string): Failure {
  return new Failure("invalid_request", `the upload is no tar: ${why}`);
}
