/** What a model is just saying, in which of its rounds. */
type Words = { round: number; text: string };

const wordsMost = 500; // pieces for a reader that is slow; older ones are lost

/** Rings once for all that happened since it was muffled, so no news falls between reading and waiting. */
export type Bell = {
  readonly over: boolean; // the reader has gone, or the gateway closes
  ring(ended: boolean): void; // ended: the trace may be over
  say(words: Words): void;
  said(): Words[]; // since the last time
  end(): void;
  muffle(): boolean; // whether the trace may be over
  rung(withinMs: number): Promise<boolean>; // false: it was not
  calm(ms: number): Promise<void>; // a moment, unless the trace may be over
};

export function newBell(): Bell {
  let news = false;
  let over = false;
  let ended = false;
  let wakeUp = () => {};
  let words: Words[] = [];
  const ring = (last: boolean) => {
    news = true;
    ended ||= last;
    wakeUp();
  };
  /** Waits until `isSo`, which a ring may change. */
  const until = (isSo: () => boolean, withinMs: number) =>
    new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(isSo()), withinMs);
      wakeUp = () => {
        if (!isSo()) return;
        clearTimeout(timer);
        resolve(true);
      };
      wakeUp();
    });
  return {
    get over() {
      return over;
    },
    ring,
    say(piece) {
      words = [...words.slice(1 - wordsMost), piece];
      ring(false);
    },
    said: () => words.splice(0),
    end() {
      over = true;
      ring(false);
    },
    muffle() {
      const was = ended;
      news = false;
      ended = false;
      return was;
    },
    rung: (withinMs) => until(() => news || over, withinMs),
    async calm(ms) {
      await until(() => ended || over, ms);
    },
  };
}
