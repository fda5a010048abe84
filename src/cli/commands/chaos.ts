import { chaos, type Options } from "../../../bench/chaos/chaos.ts";
import { exitCodes } from "../../app/child.ts";
import { Failure } from "../../contracts/failure.ts";
import { json, note, paint, say, table } from "../output.ts";

/** How many broken promises are named before the rest is only counted. */
const named = 50;

/** `dagent chaos`: harms a bus of its own, then checks what it promised. Ends with 1 when a promise was broken. */
export async function chaosRun(options: {
  seconds: string;
  seed: string;
  workers: string;
  plant?: string;
  json?: boolean;
}): Promise<void> {
  const enough = new AbortController();
  process.once("SIGINT", () => enough.abort());
  const { broken, ...report } = await chaos({
    seconds: whole("--seconds", options.seconds, 1),
    seed: whole("--seed", options.seed, 0),
    workers: whole("--workers", options.workers, 1),
    plant: plantOf(options.plant),
    signal: enough.signal,
    progress: (text) => note(paint("dim", text)),
  });

  if (options.json) json({ ...report, broken: broken.slice(0, named) });
  else say(table(Object.entries(report).map(([name, value]) => [name.replaceAll("_", " "), String(value ?? "none")])));
  for (const { promise, message, why } of broken.slice(0, named)) note(`${paint("red", promise)}  ${message}  ${why}`);
  if (broken.length > named) note(`and ${broken.length - named} more`);
  process.exitCode = broken.length === 0 && report.drained ? exitCodes.ok : exitCodes.failed;
}

function plantOf(name: string | undefined): Options["plant"] {
  if (name === undefined || name === "no-fence") return name ?? null;
  throw new Failure("invalid_request", `there is no bug ${name} to plant; there is: no-fence`);
}

function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new Failure("invalid_request", `${option} is a whole number, ${least} at least; this is ${text}`);
}
