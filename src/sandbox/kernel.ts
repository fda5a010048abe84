import { closeSync, openSync, readSync } from "node:fs";

const bytes = Buffer.allocUnsafeSlow(65_536); // one for all: these files say no length, and are read all the time

/** The text of a small file of the kernel's. Throws when it is not there. */
export function kernelText(path: string): string {
  const file = openSync(path, "r");
  try {
    return textOf(file);
  } finally {
    closeSync(file);
  }
}

/**
 * What an open file of the kernel's says now. The kernel answers with as many lines as a page of 4096 bytes holds, so what is
 * much shorter was all.
 */
export function textOf(file: number): string {
  let length = 0;
  for (;;) {
    const read = readSync(file, bytes, length, bytes.length - length, length);
    length += read;
    if (read < 2048 || length === bytes.length) return bytes.toString("latin1", 0, length);
  }
}
