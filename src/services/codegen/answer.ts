import { z } from "zod";
import { EditSet } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";

/** The change in a model's answer, bare or in a fence. Throws `empty_answer`, or `model_answer_invalid` naming what is wrong. */
export function changeIn(text: string): EditSet {
  if (text.trim() === "") throw new Failure("empty_answer", "the model answered nothing");
  const parsed = EditSet.safeParse(json(fencedIn(text) ?? text));
  if (parsed.success) return parsed.data;
  throw new Failure("model_answer_invalid", `the model's answer is not a change: ${z.prettifyError(parsed.error)}`, {
    answer: text.slice(0, 2000),
  });
}

/** What stands between the first fence and its end. A JSON string has no line ends, so no fence in one begins a line. */
function fencedIn(text: string): string | null {
  const lines = text.split("\n");
  const from = lines.findIndex((line) => /^ {0,3}```(json)?\s*$/i.test(line));
  if (from === -1) return null;
  const to = lines.findIndex((line, n) => n > from && line.trim() === "```");
  return lines.slice(from + 1, to === -1 ? undefined : to).join("\n");
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure("model_answer_invalid", "the model's answer is not JSON", { cause, answer: text.slice(0, 2000) });
  }
}
