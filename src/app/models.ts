import type { Agent } from "../contracts/agent.ts";
import type { Model, ModelSet } from "../contracts/model.ts";
import type { Config } from "./config.ts";

/** The models the configuration names. None is a normal state; what needs one says which setting is missing. */
export async function openModels({ model }: Config): Promise<ModelSet> {
  const models: Model[] = [];
  if (model.baseUrl && model.name) {
    const { openaiModel } = await import("../llm/openai.ts");
    const { name, baseUrl, apiKey, timeoutMs } = model;
    models.push(openaiModel({ name, baseUrl, model: name, apiKey, timeoutMs }));
  }
  if (model.cassette) {
    const { openCassette } = await import("../llm/cassette.ts");
    models.push(await openCassette(model.cassette));
  }
  return new Map(models.map((one) => [one.name, one]));
}

/** The agents this configuration brings: the builder of this repository, and one for each model. */
export function agentsOf(models: ModelSet, version: string, capacity: number): Agent[] {
  const common = { serviceRole: "executor.execute", capacity, priceUsd: 0, tenants: [], canaryPct: 0, enabled: true };
  const builder: Agent = {
    ...common,
    id: "builder",
    version,
    intents: ["code.buildtest"],
    reach: "builtin",
    target: "buildtest.run",
  };
  const coders = [...models.values()].map(
    ({ name, provider }): Agent => ({
      ...common,
      id: slug(`${provider === "cassette" ? "replay" : "coder"}-${name}`),
      version,
      intents: ["code.generate"],
      reach: "openai",
      target: name,
    }),
  );
  return [builder, ...coders];
}

function slug(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.:_-]+/g, "-")
    .slice(0, 64);
}
