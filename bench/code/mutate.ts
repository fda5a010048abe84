/** A piece of python: what a mutation may change stands in `code`, all else (strings, comments, spaces) in `rest`. */
type Token = { kind: "code" | "rest"; text: string; at: number };

/** A program with one change that may make it wrong, and what was changed. */
export type Mutant = { source: string; operator: string; line: number };

const pattern =
  /(?<rest>(?:[rbfuRBFU]{0,2})(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|#[^\n]*|\s+)|(?<code>[A-Za-z_]\w*|\d[\w.]*|\*\*=?|\/\/=?|[<>=!+\-*/%&|^]=|<<|>>|->|[\s\S])/g;

/** The tokens of a program, in order. What they say together is the program. */
export function tokensOf(source: string): Token[] {
  return [...source.matchAll(pattern)].map(({ 0: text, groups, index }) => ({
    kind: groups?.rest === undefined ? "code" : "rest",
    text,
    at: index,
  }));
}

type Operator = { name: string; of(token: string, before: string): string | null };

const swapped =
  (pairs: Record<string, string>) =>
  (token: string): string | null =>
    Object.hasOwn(pairs, token) ? (pairs[token] ?? null) : null;

/** What is done to one token. `before` is the code before it: a sign is no difference, an `*args` no product. */
const operators: Operator[] = [
  { name: "comparison", of: swapped({ "==": "!=", "!=": "==", "<": ">=", ">": "<=", "<=": ">", ">=": "<" }) },
  { name: "off by one", of: swapped({ "<": "<=", "<=": "<", ">": ">=", ">=": ">" }) },
  {
    name: "arithmetic",
    of: (token, before) =>
      isOperand(before) ? swapped({ "+": "-", "-": "+", "*": "+", "//": "*", "%": "//", "/": "*" })(token) : null,
  },
  { name: "assignment", of: swapped({ "+=": "-=", "-=": "+=", "*=": "+=" }) },
  { name: "boolean", of: swapped({ and: "or", or: "and", True: "False", False: "True" }) },
  { name: "negation", of: (token, before) => (token === "not" && before !== "is" ? "" : null) },
  { name: "constant", of: (token) => (/^\d+$/.test(token) ? String(Number(token) + 1) : null) },
  { name: "emptied return", of: (token) => (token === "return" ? "return None and" : null) },
  { name: "branch", of: (token) => (token === "if" || token === "elif" ? `${token} not` : null) },
];

const words = new Set([
  "return",
  "and",
  "or",
  "not",
  "in",
  "is",
  "if",
  "else",
  "elif",
  "while",
  "lambda",
  "yield",
  "print",
]);

function isOperand(before: string): boolean {
  return /^[\w)\]]/.test(before) && !words.has(before);
}

/** Every program that differs from this one in one place, behind the first `from` letters, each once. */
export function mutantsOf(source: string, from = 0): Mutant[] {
  const tokens = tokensOf(source);
  const found = new Map<string, Mutant>();
  let before = "";
  let line = 1;
  for (const { kind, text, at } of tokens) {
    if (kind === "code" && at >= from) {
      for (const { name, of } of operators) {
        const changed = of(text, before);
        if (changed === null || (name === "branch" && isComprehension(source, at))) continue;
        const mutant = source.slice(0, at) + changed + source.slice(at + text.length);
        if (!found.has(mutant)) found.set(mutant, { source: mutant, operator: name, line });
      }
    }
    if (kind === "code") before = text;
    line += text.split("\n").length - 1;
  }
  return [...found.values()];
}

/** `x if y` and `for x in y if z`: the same word, with other rules for what may follow. */
function isComprehension(source: string, at: number): boolean {
  return source.slice(source.lastIndexOf("\n", at) + 1, at).trim() !== "";
}

/** A choice of `count`, the same for the same seed: a linear congruential generator (Numerical Recipes) shuffles. */
export function chosen<Item>(items: Item[], count: number, seed: number): Item[] {
  const rest = [...items];
  let state = seed >>> 0;
  const chance = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const taken: Item[] = [];
  while (taken.length < count && rest.length > 0) {
    const [one] = rest.splice(Math.floor(chance() * rest.length), 1);
    if (one !== undefined) taken.push(one);
  }
  return taken;
}
