import type { Standing } from "../contracts/agent.ts";
import type { CanaryPlan } from "../contracts/choice.ts";
import { drawOf } from "./draw.ts";

/** What a key could be made of. `conversation` null: the request belongs to none. */
export type KeyParts = { tenant: string; conversation: string | null; key: string };

/** The key that decides on which side of a canary work is: all that shares it stays on one side. */
export function stickyKeyOf({ sticky }: Pick<CanaryPlan, "sticky">, { tenant, conversation, key }: KeyParts): string {
  if (sticky === "tenant") return tenant;
  return `${tenant}/${sticky === "conversation" && conversation !== null ? conversation : key}`;
}

/** The draw of a key among the canaries of a stable, in [0, 100): each stable has draws of its own. */
export function canaryDraw(stableId: string, stickyKey: string): number {
  return 100 * drawOf("canary", stableId, stickyKey);
}

/** The part of [0, 100) in which a draw is a canary's. */
export type Slice = { canary: Standing; from: number; to: number };

/**
 * The parts of the canaries of one stable, side by side in the order of their names. One that is paused or disabled
 * keeps its part, so that a key does not wander from one canary to another.
 */
export function slicesOf(canaries: Standing[]): Slice[] {
  let from = 0;
  return canaries
    .filter(({ mode }) => mode === "live")
    .sort((a, b) => compare(a.id, b.id) || compare(a.version, b.version))
    .map((canary) => {
      const slice = { canary, from, to: from + canary.canary_pct };
      from = slice.to;
      return slice;
    });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
