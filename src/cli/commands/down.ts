import { readConfig } from "../../app/config.ts";
import { runningSystem, stopRunning } from "../../app/running.ts";
import { json, note, paint, say } from "../output.ts";

const words = {
  system: "the system is stopped",
  database: "the launcher was gone; the database it had left is stopped",
  nothing: "nothing runs here",
};

/** `dagent down`: stops what runs in the data folder, and waits for its end. */
export async function down(options: { json?: boolean }): Promise<void> {
  const { dataDir } = readConfig();
  const running = await runningSystem(dataDir);
  if (running && !options.json)
    note(paint("dim", `stopping the system at ${running.url}: what is in hand is finished`));
  const stopped = await stopRunning(dataDir);
  if (options.json) json({ stopped });
  else say(`${words[stopped]} (${dataDir})`);
}
