import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { Failure } from "../contracts/failure.ts";
import type { Model, Prompt } from "../contracts/model.ts";

const Tokens = z.strictObject({ input: z.number().int().nonnegative(), output: z.number().int().nonnegative() });

/** One recorded exchange: when it is played, and what was answered. */
const Exchange = z.strictObject({
  when: z.strictObject({
    includes: z.array(z.string().min(1)).min(1), // all of them stand in what the user said
    turn: z.number().int().min(1), // 1: the first question; 2: after one answer
  }),
  answer: z.strictObject({ text: z.string(), model: z.string(), tokens: Tokens.nullable() }),
});

/** A cassette: recorded answers, played back in place of a model. */
export const Cassette = z.strictObject({ recorded_from: z.string().min(1), exchanges: z.array(Exchange).min(1) });
export type Cassette = z.infer<typeof Cassette>;

/**
 * A model that replays a recording; every answer says so. Which exchange is played depends on the prompt alone: the
 * first whose turn and texts fit. Throws `config_invalid` for a file that is no cassette, and when asked
 * `model_answer_invalid` for a prompt that nothing was recorded for.
 */
export async function openCassette(path: string): Promise<Model> {
  const { exchanges } = await load(path);
  const name = basename(path).replace(/\.json$/, "");
  return {
    name,
    provider: "cassette",
    async generate(prompt) {
      const { turn, said } = momentOf(prompt);
      const found = exchanges.find(
        ({ when }) => when.turn === turn && when.includes.every((text) => said.includes(text)),
      );
      if (!found) {
        // A recording will not know more at the next attempt.
        throw new Failure(
          "model_answer_invalid",
          `the cassette ${name} has no recording for turn ${turn} of "${said.slice(0, 80)}"`,
          { cassette: name, turn, max_attempts: 1 },
        );
      }
      return { ...found.answer, provider: "cassette", replay: true };
    },
  };
}

/** What an exchange is found by: how many answers there were before, and all that the user said. */
export function momentOf(prompt: Prompt): { turn: number; said: string } {
  const turn = 1 + prompt.filter(({ role }) => role === "assistant").length;
  const words = prompt.filter(({ role }) => role === "user").map(({ content }) => content);
  return { turn, said: words.join("\n") };
}

async function load(path: string): Promise<Cassette> {
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new Failure("config_invalid", `the cassette ${path} cannot be read: ${cause.message}`, { cause });
  });
  try {
    return Cassette.parse(JSON.parse(text));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new Failure("config_invalid", `the cassette ${path} is not one: ${why}`, { cause, file: path });
  }
}
