import { closeSync, constants, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";

/** What a box's shell is told. */
export type Orders = { write(text: string): void; destroy(): void };

/** The end to read from of a pipe that has a name. */
export function openPipe(path: string): Socket {
  return asSocket(openSync(path, constants.O_NONBLOCK | constants.O_RDONLY), { readable: true });
}

/**
 * The end to write to. It holds the other end too: there is no reader yet. Nearly all orders fit into the pipe and are
 * written at once; what does not fit, and what comes after it, waits until the shell has read.
 */
export function openOrders(path: string): Orders {
  const file = openSync(path, constants.O_NONBLOCK | constants.O_RDWR);
  let rest: Socket | null = null;
  let isClosed = false;
  return {
    write(text) {
      if (isClosed) return;
      const bytes = Buffer.from(text);
      const written = rest ? 0 : writeNow(file, bytes);
      if (written === bytes.length) return;
      rest ??= asSocket(file, { writable: true });
      rest.write(bytes.subarray(written));
    },
    destroy() {
      if (isClosed) return;
      isClosed = true;
      if (rest) rest.destroy();
      else closeSync(file);
    },
  };
}

/** How much of it there was room for. */
function writeNow(file: number, bytes: Buffer): number {
  try {
    return writeSync(file, bytes);
  } catch {
    return 0;
  }
}

function asSocket(fd: number, use: { readable?: true; writable?: true }): Socket {
  const pipe = new Socket({ fd, readable: false, writable: false, ...use });
  pipe.on("error", () => {}); // a box that cannot be made or is gone: `ended` tells it
  return pipe;
}
