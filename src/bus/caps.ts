import type { Address, Asked } from "../store/claims.ts";
import type { Cap } from "../store/running.ts";

/** Under which names what goes to a role for a tenant counts, and how many may be in hand at one time. */
export type CapsOf = (whose: { role: string; tenant: string }) => Cap[];

/** Flows whose messages count under the same names. */
export type Capped = { caps: Cap[]; asked: Asked[] };

/** What is asked for, and apart from it what may be in hand only so many times. */
export function apart(
  all: Asked[],
  lanes: ReadonlyMap<number, Address>,
  capsOf: CapsOf | null,
): { asked: Asked[]; capped: Capped[] } {
  if (!capsOf) return { asked: all, capped: [] };
  const asked: Asked[] = [];
  const groups = new Map<string, Capped>();
  for (const flow of all) {
    const lane = lanes.get(flow.lane);
    const own = lane ? capsOf({ role: `${lane.service}.${lane.role}`, tenant: flow.tenant }) : [];
    const key = own.map((cap) => cap.name).join("\n");
    const group = groups.get(key);
    if (own.length === 0) asked.push(flow);
    else if (group) group.asked.push(flow);
    else groups.set(key, { caps: own, asked: [flow] });
  }
  return { asked, capped: [...groups.values()] };
}
