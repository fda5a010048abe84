import { rename, writeFile } from "node:fs/promises";
import { AgentSpec } from "../contracts/agent.ts";
import type { Model, ModelSet } from "../contracts/model.ts";
import { type Config, secretsHere } from "./config.ts";

/** The models the configuration names. None is a normal state; what needs one says which setting is missing. */
export async function openModels({ model }: Config): Promise<ModelSet> {
  const models: Model[] = [];
  if (model.baseUrl && model.name) {
    const { openaiModel } = await import("../llm/openai.ts");
    const { name, baseUrl, apiKey, timeoutMs, streams, tools } = model;
    const live = openaiModel({ name, baseUrl, model: name, apiKey, timeoutMs, streams, tools });
    models.push(model.record === null ? live : await recorded(live, model.record));
  }
  if (model.cassettes.length > 0) {
    const { openCassette } = await import("../llm/cassette.ts");
    for (const path of model.cassettes) models.push(await openCassette(path));
  }
  return new Map(models.map((one) => [one.name, one]));
}

/** A model whose answers become a cassette, written anew after each: a file that is read is always whole. */
async function recorded(live: Model, file: string): Promise<Model> {
  const { recording } = await import("../llm/recorder.ts");
  return recording(live, {
    secrets: secretsHere(),
    async keep(cassette) {
      const draft = `${file}.${process.pid}.draft`;
      await writeFile(draft, `${JSON.stringify(cassette, null, 2)}\n`, { mode: 0o600 });
      await rename(draft, file);
    },
  });
}

/**
 * The agents this configuration brings: the builder of this repository, one for the model that is configured and one for
 * the first recording. Other recordings are models that somebody may register an agent with.
 */
export function agentsOf(models: ModelSet, version: string, capacity: number): AgentSpec[] {
  const builder = AgentSpec.parse({
    id: "builder",
    version,
    intents: ["code.buildtest"],
    reach: { kind: "builtin", role: "buildtest.run" },
    capacity,
  });
  const [recorded] = [...models.values()].filter(({ provider }) => provider === "cassette");
  const brought = [...models.values()].filter((one) => one.provider !== "cassette" || one === recorded);
  const coders = brought.map(({ name, provider }) =>
    AgentSpec.parse({
      id: slug(`${provider === "cassette" ? "replay" : "coder"}-${name}`),
      version,
      intents: ["code.generate"],
      reach: { kind: "openai", model: name },
      capacity,
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
