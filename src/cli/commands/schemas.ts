import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { schemas } from "../../app/schemas.ts";
import { json, say } from "../output.ts";

/** `dagent schemas`: the JSON Schemas of everything that is written or edited, from the shapes that check it. */
export async function writeSchemas(options: { json?: boolean; out: string }): Promise<void> {
  const all = schemas();
  await mkdir(options.out, { recursive: true });
  for (const [name, text] of Object.entries(all)) await writeFile(join(options.out, name), text);
  if (options.json) json({ out: options.out, schemas: Object.keys(all) });
  else say(`${Object.keys(all).length} schemas in ${options.out}`);
}
