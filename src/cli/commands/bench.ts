import type { Benchmark } from "../../../bench/benchmark.ts";
import { Failure } from "../../contracts/failure.ts";
import { json, note, paint, say, table } from "../output.ts";

/** `dagent bench <name>`: measures, and prints what was found with the goals it is held against. */
export async function bench(
  { load }: Benchmark,
  { json: asJson, ...options }: Record<string, string | boolean | undefined>,
): Promise<void> {
  const enough = new AbortController();
  process.once("SIGINT", () => enough.abort(new Failure("cancelled", "stopped before it was measured")));
  const { measure } = await load();
  const { report, tables } = await measure({
    option: (name) => (typeof options[name] === "string" ? options[name] : undefined),
    progress: (text) => note(paint("dim", text)),
    signal: enough.signal,
  });
  if (asJson) json(report);
  else say(tables.map((rows) => table(rows)).join("\n\n"));
}
