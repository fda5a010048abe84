import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "../../src/store/database.ts";
import { startEcho } from "../bus/echo.ts";
import { Errand, type Told } from "./errand.ts";

const [told] = await once(process, "message");
const { url, name, concurrency, lease_ms, pause_ms, tell_from } = Errand.parse(told);
process.on("disconnect", () => process.exit());

const sql = connect(url, { max: 8 });
await startEcho({ sql, name, concurrency, leaseMs: lease_ms }, async ({ payload: { n } }) => {
  if (n >= tell_from) tell({ n, at: String(process.hrtime.bigint()) });
  if (pause_ms === null) await new Promise(() => {});
  else if (pause_ms > 0) await pause(pause_ms);
});
tell({ ready: true });

function tell(what: Told): void {
  process.send?.(what);
}
