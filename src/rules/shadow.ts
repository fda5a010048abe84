import { createHash } from "node:crypto";
import type { AgentRef, Standing } from "../contracts/agent.ts";
import type { Answer } from "../contracts/message.ts";
import type { Comparison } from "../contracts/orchestrator.ts";

/** What a shadow's copy depends on: everybody who was seen, who was chosen, who of them could do the work, the draw. */
export type Cast = {
  agents: Standing[];
  chosen: AgentRef;
  able: (agent: Standing) => boolean;
  draw: number; // 0..1, of the key
};

/**
 * Who gets a copy of the work: a shadow of the chosen agent (or of its stable, when that was a canary) that could do it,
 * in whose share the draw falls. Null: nobody.
 */
export function shadowOf({ agents, chosen, able, draw }: Cast): AgentRef | null {
  const winner = agents.find(({ id, version }) => id === chosen.agent_id && version === chosen.agent_version);
  const stable = winner?.canary_of ?? chosen;
  const shadow = agents.find(
    (agent) =>
      agent.mode === "shadow" &&
      agent.canary_of?.agent_id === stable.agent_id &&
      agent.canary_of.agent_version === stable.agent_version &&
      draw < agent.canary_pct / 100 &&
      able({ ...agent, mode: "live" }),
  );
  return shadow ? { agent_id: shadow.id, agent_version: shadow.version } : null;
}

/** How a piece of work ended: for the caller, or for the shadow's copy of it. */
export type Side = {
  outcome: "good" | "bad" | "void";
  answer: Pick<Answer, "text" | "verdict"> | null;
  code: string | null;
  latency_ms: number;
  cost_usd: number | null;
};

/** What the caller was answered beside what the shadow would have said. Texts are kept up to 2,000 characters. */
export function compare(
  returned: Side,
  kept: Side,
): Pick<Comparison, "same_outcome" | "same_verdict" | "same_text" | "returned" | "kept"> {
  return {
    same_outcome: returned.outcome === kept.outcome,
    same_verdict: (returned.answer?.verdict ?? null) === (kept.answer?.verdict ?? null),
    same_text: returned.answer?.text.trim() === kept.answer?.text.trim(),
    returned: shown(returned),
    kept: shown(kept),
  };
}

function shown({ outcome, answer, code, latency_ms, cost_usd }: Side): Comparison["kept"] {
  return {
    outcome,
    verdict: answer?.verdict ?? null,
    text: answer?.text.slice(0, 2000) ?? null,
    code,
    latency_ms,
    cost_usd,
  };
}

/** An id that the same parts always have: the first 128 bits of their SHA-256, as a UUID of version 8 (RFC 9562). */
export function uuidOf(...parts: string[]): string {
  const bytes = createHash("sha256").update(JSON.stringify(parts)).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
