import type { Generation, Model, Prompt } from "../contracts/model.ts";
import { type Cassette, momentOf } from "./cassette.ts";

type Exchange = Cassette["exchanges"][number];

/**
 * A model whose answers are recorded: `keep` gets the cassette so far after each. Secrets are struck out of what is
 * written, in questions and answers; what the caller gets is as it came.
 */
export function recording(
  model: Model,
  { secrets, keep }: { secrets: string[]; keep: (cassette: Cassette) => Promise<void> },
): Model {
  const exchanges: Exchange[] = [];
  let kept = Promise.resolve();
  const strike = strikerOf(secrets);
  return {
    ...model,
    async generate(prompt, options) {
      const said = await model.generate(prompt, options);
      exchanges.push(exchangeOf(prompt, said, strike));
      const cassette = { recorded_from: `${model.provider} ${said.model}`, exchanges: [...exchanges] };
      kept = kept.catch(() => {}).then(() => keep(cassette));
      await kept;
      return said;
    },
  };
}

function exchangeOf(prompt: Prompt, { text, model, tokens }: Generation, strike: (text: string) => string): Exchange {
  const { turn, said } = momentOf(prompt);
  // What stands before a secret and behind it is still found in the question when it is asked again.
  const includes = strike(said)
    .split(struck)
    .filter((part) => part !== "");
  return {
    when: { includes: includes.length > 0 ? includes : [said.slice(0, 1) || " "], turn },
    answer: { text: strike(text), model, tokens: tokens && { input: tokens.input, output: tokens.output } },
  };
}

const struck = "[secret]";

/** What looks like a key, a token or a bearer, whoever it belongs to. */
const looks = [
  /\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}/g,
  /\bdag_[\w-]{43}\b/g,
  /\b(?:ghp|gho|ghs|github_pat|xox[abp])[_-][A-Za-z0-9_-]{16,}/g,
  /\bAKIA[0-9A-Z]{16}\b/g,
  /\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/g,
  /(?<=\bbearer\s{1,4})[A-Za-z0-9._~+/-]{16,}=*/gi,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g,
];

function strikerOf(secrets: string[]): (text: string) => string {
  const known = secrets.filter((secret) => secret.length >= 6).sort((one, other) => other.length - one.length);
  return (text) => {
    let clean = text;
    for (const secret of known) clean = clean.replaceAll(secret, struck);
    for (const look of looks) clean = clean.replace(look, struck);
    return clean;
  };
}
