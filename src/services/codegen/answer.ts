import { z } from "zod";
import { EditSet } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";

/** The change in a model's answer, bare or in a fence. Throws `model_answer_invalid` naming what is wrong with it. */
export function changeIn(text: string): EditSet {
  const [, fenced] = /```(?:json)?\s*\n([\s\S]*?)\n\s*```/.exec(text) ?? [];
  const parsed = EditSet.safeParse(json((fenced ?? text).trim()));
  if (parsed.success) return parsed.data;
  throw new Failure("model_answer_invalid", `the model's answer is not a change: ${z.prettifyError(parsed.error)}`, {
    answer: text.slice(0, 2000),
  });
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure("model_answer_invalid", "the model's answer is not JSON", { cause, answer: text.slice(0, 2000) });
  }
}
