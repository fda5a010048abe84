import type { Agent } from "../contracts/agent.ts";
import type { BuildTestRequest } from "../contracts/code.ts";
import type { Work } from "../contracts/work.ts";

/** How a builtin agent is reached: its target is a role of this repository, which gets the work as it came. */
export function reachBuiltin({ target }: Agent, work: Work): { to: string; payload: BuildTestRequest } {
  return { to: target, payload: { work, written: null } };
}
