/**
 * A light English stemmer: plural, -ed, -ing, -ly and the endings of nouns made from verbs, enough that a question
 * and a manual meet (`serializer`, `serialization`, `serialize`). In the spirit of Porter (1980), but one pass.
 * Works on folded words; words of other scripts and with digits come back as they are.
 */
export function stem(word: string): string {
  if (word.length < 4 || !/^[a-z]+$/.test(word)) return word;
  return ending(derived(inflected(plural(word))));
}

const vowel = /[aeiouy]/;

function plural(word: string): string {
  if (word.endsWith("sses")) return word.slice(0, -2);
  if (word.endsWith("ies")) return word.length > 4 ? `${word.slice(0, -3)}y` : word.slice(0, -1);
  if (/(ss|us|is)$/.test(word) || !word.endsWith("s")) return word;
  return /(x|ch|sh|zz)es$/.test(word) ? word.slice(0, -2) : word.slice(0, -1);
}

function inflected(word: string): string {
  const [, root] = /^(.{3,})(?:ing|ed)$/.exec(word) ?? [];
  if (!root || !vowel.test(root)) return word;
  if (/(at|iz|is|bl)$/.test(root)) return `${root}e`;
  return /([^aeiouylsz])\1$/.test(root) ? root.slice(0, -1) : root;
}

function derived(word: string): string {
  const [, root] = /^(.{4,}?)(?:isation|ization|ation|ator|ate|ise|ize|iser|izer|ment|ness|ly)$/.exec(word) ?? [];
  return root ?? word;
}

function ending(word: string): string {
  if (word.length > 4 && word.endsWith("e")) return word.slice(0, -1);
  return word.endsWith("y") && word.length > 3 ? `${word.slice(0, -1)}i` : word;
}
