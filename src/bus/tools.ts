import { stage } from "../store/artifacts.ts";
import type { Taken } from "../store/claims.ts";
import { tell } from "../store/events.ts";
import { openUpload } from "../store/uploads.ts";
import { wake } from "../store/wake.ts";
import type { Stop, Workshop } from "./attempt.ts";
import type { Tools } from "./handler.ts";
import type { Left } from "./settle.ts";

/** The tools of one attempt, and what its handler left with them. */
export function openTools(
  message: Taken,
  { shop, stop }: { shop: Workshop; stop: Stop },
): { tools: Tools; left: Left } {
  const left: Left = { staged: [], records: [] };
  const { sql, name } = shop;
  const { now, models, sandbox } = shop.tools;
  const tools: Tools = {
    sql,
    now,
    models,
    sandbox,
    get signal() {
      return stop.signal;
    },
    upload: (id) => openUpload(shop.artifactsBase, { tenant: message.tenant, id, now: now() }),
    async keep(artifact) {
      stop.check();
      const token = `${message.token}-${message.id}`;
      left.staged.push(await stage(shop.artifactsBase, artifact, { message, token, at: now() }));
    },
    async status(text, data = {}) {
      stop.check(); // an attempt that has ended has no progress
      await tell(sql, message, { what: "status", worker: name, details: { text, ...data } });
      await wake(sql, { roles: [], traces: [message.traceId], flows: [] });
    },
    record: (kind, data) => void left.records.push({ kind, data }),
  };
  return { tools, left };
}
