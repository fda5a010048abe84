import { readConfig } from "../../app/config.ts";
import { launch } from "../../app/launcher.ts";
import { duration, json, note, paint, say } from "../output.ts";

/** `dagent up`: everything in one place, until Ctrl-C. */
export async function up(options: { json?: boolean }): Promise<void> {
  const config = readConfig();
  const began = performance.now();
  const system = await launch(config, (text) => note(paint("dim", text)));
  const readyMs = performance.now() - began;

  const { sandbox, worker } = system.facts;
  if (options.json) json({ url: system.url, ready_ms: Math.round(readyMs), sandbox, worker });
  else {
    say(`${paint("green", "ready")} at ${paint("bold", system.url)} after ${duration(readyMs)}`);
    say(`  sandbox   ${sandbox.class ?? paint("yellow", `refuses work: ${sandbox.why ?? "see dagent doctor"}`)}`);
    say(
      `  model     ${Array.isArray(worker.models) && worker.models.length > 0 ? worker.models.join(", ") : "none (code.generate needs one: MODEL_BASE_URL, see .env.example)"}`,
    );
    say(`  API       ${system.url}/docs`);
    say(`  logs      ${config.dataDir}/log`);
    say(
      `next, in another terminal: ${paint("cyan", 'npx dagent index ./docs && npx dagent chat "what does it say about …?"')}`,
    );
  }

  await new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
  });
  note(paint("dim", "stopping: finishing what is in hand"));
  process.once("SIGINT", () => process.exit(1));
  await system.stop();
}
