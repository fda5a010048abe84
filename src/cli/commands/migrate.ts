import { readConfig } from "../../app/config.ts";
import { openDatabase } from "../../app/launcher.ts";
import { json, say } from "../output.ts";

/** `dagent migrate`: the schema, without starting anything else. Safe to run while a system is up. */
export async function migrateDatabase(options: { json?: boolean }): Promise<void> {
  const lines: string[] = [];
  const server = await openDatabase(readConfig(), (text) => lines.push(text));
  if (!server.adopted) await server.stop();
  const schema = lines.find((line) => line.startsWith("schema")) ?? "schema: up to date";
  if (options.json) json({ schema });
  else say(schema);
}
