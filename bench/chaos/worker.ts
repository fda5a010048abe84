import { once } from "node:events";
import { serve } from "../../src/app/child.ts";
import { openLog } from "../../src/app/log.ts";
import { startWorker } from "../../src/bus/worker.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { connect, type Database } from "../../src/store/database.ts";
import { dice } from "./dice.ts";
import { Errand, Hearing } from "./errand.ts";
import { policy, roles } from "./roles.ts";

const [told] = await once(process, "message");
const errand = Errand.parse(told);
let { deaf } = errand;
process.on("message", (message) => {
  ({ deaf } = Hearing.parse(message));
});

const log = openLog(errand.name, "warn");
await serve(log, async () => {
  const sql = connect(errand.url, { max: 6 });
  const chance = dice(errand.name);
  const worker = await startWorker({
    sql: hearingUnless(() => deaf, sql),
    artifactsBase: errand.artifacts_base,
    policy: () => policy,
    chance,
    name: errand.name,
    handlers: roles,
    concurrency: 6,
    leaseMs: errand.lease_ms,
    attemptMs: 10_000,
    packFrom: 2, // so that there are packs
    pollMs: 1000,
    log,
    tools: { now: () => new Date(), models: new Map(), sandbox: { run: noSandbox } },
  });
  return {
    facts: {},
    async stop() {
      await worker.stop(errand.grace_ms);
      await sql.end({ timeout: 1 });
    },
  };
});

/** The same database, whose notifications are dropped while `deafNow` says so. */
function hearingUnless(deafNow: () => boolean, sql: Database): Database {
  const listen: Database["listen"] = (channel, heard, listening) =>
    sql.listen(channel, (text) => (deafNow() ? undefined : heard(text)), listening);
  return new Proxy(sql, { get: (target, key) => (key === "listen" ? listen : Reflect.get(target, key)) });
}

async function noSandbox(): Promise<never> {
  throw new Failure("sandbox_unavailable", "a run of chaos has no sandbox");
}
