import { configFolder } from "../../src/app/paths.ts";
import { loadPolicy } from "../../src/app/policies.ts";
import type { OrchestratorPolicy } from "../../src/contracts/choice.ts";

/** The policy of this installation: what is evaluated is what is shipped. */
export function policyHere(): Promise<OrchestratorPolicy> {
  return loadPolicy(configFolder(null), "orchestrator.json");
}
