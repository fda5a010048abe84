import type { Hop } from "../contracts/knowledge.ts";
import type { Ranked } from "./rank.ts";

/** What is known of how a passage was found: the query's terms, the name it was called by, the hop that led to it. */
export type Trail = { terms: string[]; name: string | null; hop: Hop | null };

/** Why a passage stands where it does, in words, the strongest first. */
export function reasonsFor({ covers, v, b }: Ranked, { terms, name, hop }: Trail): string[] {
  const reasons: string[] = [];
  if (name !== null) reasons.push(`the question names it: ${name}`);
  if (covers.length > 0)
    reasons.push(`says ${covers.map((at) => terms[at]).join(", ")} (${b.toFixed(2)} of the best match)`);
  if (hop) reasons.push(`${how(hop)} (${v.toFixed(2)})`);
  return reasons.length > 0 ? reasons : ["stands beside a passage that matches"];
}

function how({ kind, title, name }: Hop): string {
  if (kind === "titled") return `is what "${title}" calls ${name}`;
  if (kind === "shared") return `mentions ${name}, as "${title}" does`;
  return `mentions "${title}", which matches`;
}
