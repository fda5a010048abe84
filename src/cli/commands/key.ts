import { KeyKind } from "../../contracts/http.ts";
import { json, note, say } from "../output.ts";
import { openSystem } from "../system.ts";

/** `dagent key NAME`: makes a key and shows it once. */
export async function key(name: string, options: { json?: boolean; kind: string; tenant: string }): Promise<void> {
  const client = await openSystem();
  const created = await client.createKey({ name, kind: KeyKind.parse(options.kind), tenant: options.tenant });
  if (options.json) return json(created);
  say(created.key);
  if (created.kind === "sandbox") note("start the sandbox worker with it as SANDBOX_TOKEN");
  note(`${created.kind} key of ${created.name} for tenant ${created.tenant}; it is not shown again`);
}
