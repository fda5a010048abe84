import type { Intent } from "../contracts/message.ts";

/** What a request was found to want, and the sentence that says why. */
export type Found = { intent: Exclude<Intent, "chat" | "rag.index">; because: string };

/**
 * What a chat request wants, when it does not say so itself. Files with a wish to change something are changed, files
 * with the question how they test are built and tested; without files, a wish for code starts from nothing, a wish to
 * test something has nothing to test (its agent says so), and everything else is a question.
 */
export function intentOf(message: string, files: number): Found {
  const text = message.trim();
  if (files > 0) return withFiles(text);
  if (wantsTests.test(text)) return { intent: "code.buildtest", because: "the words ask to build and test something" };
  if (wantsCode(text)) return { intent: "code.generate", because: "the words ask for code" };
  return { intent: "rag.answer", because: "words without files are a question to the documents" };
}

function withFiles(text: string): Found {
  if (text === "") return { intent: "code.buildtest", because: "files without words are built and tested" };
  if (mentionsTests.test(text) && !wantsChange(text)) {
    return { intent: "code.buildtest", because: "files, and the words ask how they test" };
  }
  return { intent: "code.generate", because: "files, and the words ask for a change" };
}

const mentionsTests =
  /\b(builds?|built|tests?|tested|testing|checks?|checked|runs?|compiles?|pytest|vitest|jest|unittest|pass|passes|passing|fails?|failing|failed|green|red|broken?|breaks?)\b/i;

const changing =
  /\b(add|write|implement|create|generate|fix|repair|change|make|rename|remove|delete|replace|refactor|update|support|convert|improve|extend|rewrite|port|migrate|optimi[sz]e)\b/gi;

/** Words after which the next one is a thing, not something to do: 'my change', 'the last update'. */
const naming =
  /\b(the|a|an|my|our|your|this|that|these|those|its|their|last|latest|recent|new|any|no|after|before)\s+$/i;

/** 'make sure', 'make test': to make is not always to change. */
const notMaking = /^make\s+(sure|certain|test|check|build|all|install|clean|ci)\b/i;

/** Whether something is to be done to the files; what was done to them before ('did my change break it?') is not that. */
function wantsChange(text: string): boolean {
  const looksBack = /^(did|does|do|has|have|is|are|was|were)\b/i.test(text);
  for (const { index } of text.matchAll(changing)) {
    const before = text.slice(Math.max(0, index - 30), index);
    if (naming.test(before) || notMaking.test(text.slice(index, index + 30))) continue;
    if (!looksBack || /\b(please|and|then|to|you)\s+$/i.test(before)) return true;
  }
  return false;
}

/** How a wish begins: 'please', 'can you', 'I need you to', or right away. */
const opening =
  /^(?:(?:hi|hello|hey|ok|okay|so|now)[\s,!.]+)*(?:please[\s,]+)?(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?|(?:i\s+(?:need|want)|i(?:'|’)?d\s+like|i\s+would\s+like)\s+you\s+to\s+|help\s+me\s+(?:to\s+)?|let(?:'|’)?s\s+)?/i;

const making =
  /^(?:write|implement|create|generate|code|build|make|develop|program|add|fix|refactor|port|translate|convert)\b/i;
const wishing =
  /^(?:i\s+(?:need|want)|i(?:'|’)?d\s+like|i\s+would\s+like|give\s+me|make\s+me|write\s+me)\s+(?:an?|some)\b/i;

const codeThing =
  /\b(function|method|class|module|program|script|tests?|unit\s+tests?|code|component|endpoint|parser|regex|regexp|algorithm|cli|command-line|library|package|api\s+client|decorator|iterator|generator|type|interface|struct|hook|middleware|snippet|query|migration|makefile|dockerfile|linter|compiler|interpreter|server|app|application|bot|game)\b/i;
const language =
  /\b(python|javascript|typescript|node(?:\.js)?|bash|shell|sql|html|css|rust|golang|java|kotlin|swift|ruby|php|perl|c\+\+|c#|haskell|lua|jsx|tsx)\b/i;
const looksLikeCode =
  /```|\b\w{1,100}\([^)]{0,200}\)|\b[\w-]{1,100}\.(?:[cm]?[jt]sx?|py|sh|rs|go|java|rb|php|c|h|cpp|sql|css)\b/;

/** Things one writes with words. */
const prose =
  /\b(summary|report|e-?mail|letter|essay|poem|story|list\s+of|overview|explanation|table\s+of|comparison)\b/i;

function wantsCode(text: string): boolean {
  const wish = text.replace(opening, "");
  const made = making.exec(wish);
  const asked = made !== null || wishing.test(text);
  if (!asked) return false;
  const [verb = ""] = made ?? [];
  if (/^(implement|code|program|refactor)$/i.test(verb)) return true;
  const signs = [codeThing, language, looksLikeCode].flatMap((sign) => sign.exec(wish)?.index ?? []);
  const words = prose.exec(wish)?.index ?? Number.POSITIVE_INFINITY;
  return Math.min(...signs) < words; // 'a script that writes a report', not 'a report about the script'
}

/** An order to build or test what did not come along. */
const wantsTests = new RegExp(
  `${opening.source}(?:(?:build|compile|test|run|check|execute)(?:\\s*(?:,|and|&)\\s*(?:build|compile|test|run|check))*)\\s+(?:(?:this|that|my|our|the|these|all|it)\\s+)*(?:unit\\s+)?(?:it|project|code|repo|repository|package|files?|tests?|test\\s+suite|suite|app|application|library|program)(?:\\s+(?:and|with|in|using|for|please|again|now)\\b.*)?[.!?]*$`,
  "i",
);
