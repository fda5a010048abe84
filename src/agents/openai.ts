import type { GenerateRequest } from "../contracts/code.ts";
import type { Work } from "../contracts/work.ts";

/** How a model is reached: through codegen, which asks the model that the assignment names. */
export function reachOpenai(work: Work): { to: string; payload: GenerateRequest } {
  return { to: "codegen.generate", payload: { work, rounds: null } };
}
