/** A word for a shell, which reads it as exactly these characters. */
export function quote(word: string): string {
  return /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Words as one command line. */
export function quoteAll(words: string[]): string {
  return words.map(quote).join(" ");
}
