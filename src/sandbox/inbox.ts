import { Failure } from "../contracts/failure.ts";
import { windowBytes } from "./credit.ts";
import type { Piece } from "./put.ts";

/** Pieces of files between the connection they come over and the box they go into. */
export type Inbox = { put(piece: Piece): void; end(): void; pieces: AsyncIterable<Piece> };

/** An inbox. `taken` hears how many bytes were taken out. It holds no more than the window that the sender was given. */
export function openInbox(taken: (bytes: number) => void): Inbox {
  const waiting: Piece[] = [];
  let bytes = 0;
  let ended = false;
  let wake = () => {};

  async function* pieces(): AsyncGenerator<Piece> {
    for (;;) {
      const piece = waiting.shift();
      if (piece) {
        bytes -= piece.bytes.length;
        yield piece;
        taken(piece.bytes.length);
        continue;
      }
      if (ended) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  return {
    put(piece) {
      if (ended) return;
      bytes += piece.bytes.length;
      if (bytes > windowBytes) throw new Failure("invalid_request", "more bytes came than were asked for");
      waiting.push(piece);
      wake();
    },
    end() {
      ended = true;
      wake();
    },
    pieces: pieces(),
  };
}
