import type { Intent } from "../contracts/message.ts";

/** What a request was found to want, and the sentence that says why. */
export type Found = { intent: Exclude<Intent, "chat" | "rag.index">; because: string };

/**
 * What a chat request wants, when it does not say so itself. Files with a wish to change something are changed, other
 * files are built and tested; a wish for code without files starts from nothing; everything else is a question.
 */
export function intentOf(message: string, files: number): Found {
  const text = message.trim();
  if (files > 0 && text === "")
    return { intent: "code.buildtest", because: "files without words are built and tested" };
  if (files > 0 && asksForTests.test(text) && !asksForChange.test(text)) {
    return { intent: "code.buildtest", because: "files, and the words ask how they test" };
  }
  if (files > 0) return { intent: "code.generate", because: "files, and the words ask for a change" };
  if (asksForCode.test(text)) return { intent: "code.generate", because: "the words ask for code" };
  return { intent: "rag.answer", because: "words without files are a question to the documents" };
}

const asksForTests = /\b(build|test|tests|tested|testing|check|run|pytest|unittest|pass|passes|fail|fails|failing)\b/i;
const asksForChange =
  /\b(add|write|implement|create|generate|fix|repair|change|make|rename|remove|delete|replace|refactor|update|support|convert|improve)\b/i;
const asksForCode =
  /^(please\s+)?(write|implement|create|generate|code)\b.*\b(function|class|module|program|script|test|code)\b/i;
