import { json, say, table } from "../output.ts";
import { openSystem } from "../system.ts";

/** `dagent circuits`: those that are not closed; `open KEY` and `close KEY` set one by hand. */
export async function circuits(
  change: { verb: "open" | "close"; key: string; reason: string } | null,
  options: { json?: boolean },
): Promise<void> {
  const system = await openSystem();
  const list = change ? await system.setCircuit(change.key, change.verb, change.reason) : await system.circuits();
  if (options.json) return json(list);
  if (list.circuits.length === 0) return say("every circuit is closed: work flows on every lane");
  say(
    table([
      ["lane", "state", "since", "because"],
      ...list.circuits.map((one) => [one.key, one.state, one.since, one.because]),
    ]),
  );
}
