import { chmod, cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "../../src/app/config.ts";
import { launch, type System } from "../../src/app/launcher.ts";
import { loadPolicy } from "../../src/app/policies.ts";
import { type Client, openClient } from "../../src/client/client.ts";
import { Failure } from "../../src/contracts/failure.ts";

/** A system of its own with fresh data and one model. */
export type Ground = { client: Client; system: System; close(): Promise<void> };

/**
 * Starts one. `recording`: the path of a cassette, or its content; null: the model that the environment names. Throws
 * `sandbox_unavailable` where nothing can be run.
 */
export async function openGround(recording: string | object | null, progress: (text: string) => void): Promise<Ground> {
  const home = readConfig();
  const dataDir = await mkdtemp(join(tmpdir(), "dagent-eval-"));
  await chmod(dataDir, 0o711); // as root: the database's account must get in
  const cassette = typeof recording === "string" ? recording : join(dataDir, "recorded.json");
  if (typeof recording === "object" && recording) await writeFile(cassette, JSON.stringify(recording));
  const replays = { ...home.model, baseUrl: null, name: null, cassettes: [cassette] };
  const system = await launch(
    {
      ...home,
      dataDir,
      configDir: await withoutCircuits(home.configDir, join(dataDir, "configs")),
      artifactsBase: join(dataDir, "artifacts"),
      databaseUrl: null,
      host: "127.0.0.1",
      port: 0,
      adminToken: null,
      requireAdminForNonGet: false,
      model: recording === null ? { ...home.model, cassettes: [] } : replays,
    },
    progress,
  );
  const close = async () => {
    await system.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  const { class: sandboxed, why } = system.facts.sandbox;
  if (typeof sandboxed === "string") return { client: openClient({ url: system.url }), system, close };
  await close();
  throw new Failure("sandbox_unavailable", `the sandbox refuses work here: ${why}; see \`dagent doctor\``);
}

/**
 * The operator's files but for one: wrong answers are what is asked for here, and an open circuit would make the others
 * wait for them. Answers where they are.
 */
export async function withoutCircuits(from: string, to: string): Promise<string> {
  await cp(from, to, { recursive: true });
  const { default: rule, keys } = await loadPolicy(from, "circuit_breaker.json");
  const rules = Object.entries(keys).map(([key, one]) => [key, { ...one, min_calls: never }]);
  const file = { default: { ...rule, min_calls: never }, keys: Object.fromEntries(rules) };
  await writeFile(join(to, "circuit_breaker.json"), JSON.stringify(file));
  return to;
}

const never = 1_000_000; // calls within one window

/** Does something with each of them, `width` at one time. Answers in their order. */
export async function inFlight<Item, Result>(
  items: Item[],
  width: number,
  act: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const work = async () => {
    for (let n = next++; n < items.length; n = next++) {
      const item = items[n];
      if (item !== undefined) results[n] = await act(item, n);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, work));
  return results;
}
