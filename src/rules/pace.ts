/** What came and has not been told yet, and when something was told last (ms of any clock that only goes forward). */
export type Pace<Word> = { told: number | null; kept: { word: Word } | null };

export const unpaced: Pace<never> = { told: null, kept: null };

/**
 * Lets words out at most once in `everyMs`. One that comes too soon is kept, in the place of the one kept before: of a
 * burst the first and the last are told. `afterMs`: look again then, with nothing new; null: nothing is kept.
 */
export function paced<Word>(
  { told, kept }: Pace<Word>,
  { said, at, everyMs }: { said: { word: Word } | null; at: number; everyMs: number },
): { tell: { word: Word } | null; pace: Pace<Word>; afterMs: number | null } {
  const latest = said ?? kept;
  if (latest === null) return { tell: null, pace: { told, kept }, afterMs: null };
  const waitMs = told === null ? 0 : told + everyMs - at;
  if (waitMs <= 0) return { tell: latest, pace: { told: at, kept: null }, afterMs: null };
  return { tell: null, pace: { told, kept: latest }, afterMs: waitMs };
}

/** What a stranger says of his progress as one line that a terminal only shows; at most 500 characters. */
export function progressLine(text: string): string {
  return text
    .slice(0, 2000)
    .replaceAll(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ")
    .trim()
    .slice(0, 500);
}
