import type { Reach } from "../contracts/agent.ts";
import type { BuildTestRequest } from "../contracts/code.ts";
import type { Work } from "../contracts/work.ts";

/** How a builtin agent is reached: its role is one of this repository, which gets the work as it came. */
export function reachBuiltin(
  { role }: Extract<Reach, { kind: "builtin" }>,
  work: Work,
): { to: string; payload: BuildTestRequest } {
  return { to: role, payload: { work, written: null } };
}
