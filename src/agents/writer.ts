import type { GenerateRequest } from "../contracts/code.ts";
import type { Work } from "../contracts/work.ts";

/** How whoever writes changes is reached: through codegen, which asks the model or the agent of the assignment. */
export function reachWriter(work: Work): { to: string; payload: GenerateRequest } {
  return { to: "codegen.generate", payload: { work, rounds: null } };
}
