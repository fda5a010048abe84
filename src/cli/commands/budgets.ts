import { json, say, table } from "../output.ts";
import { openSystem } from "../system.ts";

const parts = [
  ["cost_usd", "USD"],
  ["tokens", "tokens"],
  ["seconds", "seconds"],
] as const;

/** `dagent budgets`: what is spent, put aside and allowed. */
export async function budgets(options: { json?: boolean }): Promise<void> {
  const list = await (await openSystem()).budgets();
  if (options.json) return json(list);
  const rows = list.budgets.flatMap(({ tenant, scope, key, spent, reserved, cap }) =>
    parts.map(([part, unit]) => [
      tenant,
      scope,
      key ?? "-",
      unit,
      String(spent[part]),
      String(reserved[part]),
      cap[part] === null ? "no cap" : String(cap[part]),
    ]),
  );
  say(table([["tenant", "of a", "which", "in", "spent", "put aside", "cap"], ...rows]));
}
