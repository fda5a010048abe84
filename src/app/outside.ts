import { randomBytes } from "node:crypto";
import { Failure } from "../contracts/failure.ts";
import type { Outside } from "../contracts/outside.ts";
import type { OutboundPolicy } from "../contracts/policy.ts";
import { openaiModel } from "../llm/openai.ts";
import { agentSecret, type Config } from "./config.ts";
import { guardedFetch } from "./outbound.ts";

/** What this process lets agents outside be reached with. Secrets are read when they are needed, by their name alone. */
export function openOutside(
  { publicUrl, host, port, model: { timeoutMs } }: Config,
  current: () => OutboundPolicy,
  secret: (name: string) => string | null = agentSecret,
): Outside {
  const fetch = guardedFetch(current);
  const secretOf = (name: string) => {
    const value = secret(name);
    if (value) return value;
    throw new Failure("agent_failed", `this worker has no ${name} in its environment, and the agent needs it`);
  };
  return {
    fetch,
    secretOf,
    publicUrl: publicUrl ?? `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    newToken: () => randomBytes(32).toString("base64url"),
    modelAt({ model, base_url, api_key, tools = false }) {
      if (base_url === null) throw new Failure("model_not_configured", `this worker has no model ${model}`);
      const apiKey = api_key && secretOf(api_key);
      return openaiModel({ name: model, baseUrl: base_url, model, apiKey, timeoutMs, fetch, tools });
    },
  };
}
