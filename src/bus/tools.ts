import { stage } from "../store/artifacts.ts";
import type { Taken } from "../store/claims.ts";
import { tell } from "../store/events.ts";
import { openUpload } from "../store/uploads.ts";
import { wake } from "../store/wake.ts";
import type { Stop, Workshop } from "./attempt.ts";
import { putAside } from "./budget.ts";
import type { Tools } from "./handler.ts";
import type { Left } from "./settle.ts";

/** The tools of one attempt, and what its handler left with them. */
export function openTools(
  message: Taken,
  { shop, stop }: { shop: Workshop; stop: Stop },
): { tools: Tools; left: Left } {
  const left: Left = { staged: [], records: [] };
  return { tools: new AttemptTools(message, { shop, stop, left }), left };
}

/**
 * One for each attempt, so made with care: what can be shared is, and `signal` is made when it is asked for. The verbs
 * are functions of their own, so that a handler may take them out by name.
 */
class AttemptTools implements Tools {
  readonly sql: Tools["sql"];
  readonly now: Tools["now"];
  readonly models: Tools["models"];
  readonly sandbox: Tools["sandbox"];
  readonly upload: Tools["upload"];
  readonly keep: Tools["keep"];
  readonly reserve: Tools["reserve"];
  readonly spend: Tools["spend"];
  readonly status: Tools["status"];
  readonly record: Tools["record"];
  readonly #stop: Stop;

  constructor(message: Taken, { shop, stop, left }: { shop: Workshop; stop: Stop; left: Left }) {
    const { sql, name, artifactsBase } = shop;
    const { now, models, sandbox } = shop.tools;
    this.sql = sql;
    this.now = now;
    this.models = models;
    this.sandbox = sandbox;
    this.#stop = stop;
    this.upload = (id) => openUpload(artifactsBase, { tenant: message.tenant, id, now: now() });
    this.keep = async (artifact) => {
      stop.check();
      const token = `${message.token}-${message.id}`;
      left.staged.push(await stage(artifactsBase, artifact, { message, token, at: now() }));
    };
    this.reserve = async (most) => {
      stop.check();
      if (!shop.budgets) return { tokens: most.tokens };
      const made = putAside(sql, message, { policy: shop.budgets(), most });
      left.aside = { made: made.catch(() => {}), figure: null };
      return made;
    };
    this.spend = (figure) => {
      if (left.aside) left.aside.figure = figure;
    };
    this.status = async (text, data = {}) => {
      stop.check(); // an attempt that has ended has no progress
      await tell(sql, message, { what: "status", worker: name, details: { text, ...data } });
      await wake(sql, { roles: [], traces: [message.traceId], flows: [] });
    };
    this.record = (kind, data) => void left.records.push({ kind, data });
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }
}
