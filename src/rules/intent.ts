import type { Intent } from "../contracts/message.ts";

/**
 * What a chat request wants, when it does not say so itself. Files without a wish are built and tested; files with a
 * wish are changed; a wish for code without files starts from nothing; everything else is a question.
 */
export function intentOf(message: string, files: number): Exclude<Intent, "chat" | "rag.index"> {
  const text = message.trim();
  if (files > 0 && (text === "" || asksForTests.test(text))) return "code.buildtest";
  if (files > 0 || asksForCode.test(text)) return "code.generate";
  return "rag.answer";
}

const asksForTests =
  /^(please\s+)?(build|test|check|run)(\s+(and|&)\s+(build|test|check|run))?(\s+(this|these|it|the|my|our)\b.*)?[.!]?$/i;
const asksForCode =
  /^(please\s+)?(write|implement|create|generate|code)\b.*\b(function|class|module|program|script|test|code)\b/i;
