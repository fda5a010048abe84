import type { Price, PricePolicy } from "../contracts/policy.ts";

/** What a model costs: under its own name, else under the longest name with a `*` at its end that fits. Null: not said. */
export function priceFor({ models }: PricePolicy, model: string): Price | null {
  if (Object.hasOwn(models, model)) return models[model] ?? null;
  const fitting = Object.keys(models)
    .filter((name) => name.endsWith("*") && model.startsWith(name.slice(0, -1)))
    .sort((one, other) => other.length - one.length);
  return models[fitting[0] ?? ""] ?? null;
}

/** What an answer did cost, in USD, to a millionth of a cent. `input` includes what was cached. */
export function costOf(
  { input_usd, cached_input_usd, output_usd }: Price,
  { input, output, cached = 0 }: { input: number; output: number; cached?: number | undefined },
): number {
  const usd = (input - cached) * input_usd + cached * (cached_input_usd ?? input_usd) + output * output_usd;
  return Number((usd / 1_000_000).toFixed(8));
}
