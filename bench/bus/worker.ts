import { once } from "node:events";
import { Errand, type Told, Watch } from "./errand.ts";
import { systemOf } from "./systems.ts";

/** How often a worker tells how far it is, in milliseconds. */
const tellMs = 10;

const [told] = await once(process, "message");
const { system, url } = Errand.parse(told);
let watched = false;
let count = 0;
let toldCount = 0;
process.on("message", (message) => {
  watched = Watch.parse(message).watch;
});
process.on("disconnect", () => process.exit());

const { work } = await systemOf(system);
await work?.(url, (n) => {
  count += 1;
  if (watched) tell({ n, at: String(process.hrtime.bigint()) });
});
tell({ ready: true });
setInterval(() => {
  if (count === toldCount) return;
  toldCount = count;
  tell({ begun: count });
}, tellMs);

function tell(what: Told): void {
  process.send?.(what);
}
