import { type Staged, stage } from "../store/artifacts.ts";
import { tell } from "../store/events.ts";
import type { Fact, Taken } from "../store/leases.ts";
import { wake } from "../store/wake.ts";
import type { Stop, Workshop } from "./attempt.ts";
import type { Tools } from "./handler.ts";
import type { Left } from "./settle.ts";

const nothing: Left = { staged: [], records: [] };

/** The tools of one attempt, and what its handler left with them. They are made when they are first taken up. */
export function openTools(
  message: Taken,
  { shop, stop }: { shop: Workshop; stop: Stop },
): { tools: Tools; left(): Left } {
  const tools = new AttemptTools(message, shop, stop);
  return { tools, left: () => tools.left };
}

class AttemptTools implements Tools {
  left: Left = nothing;
  readonly #message: Taken;
  readonly #shop: Workshop;
  readonly #stop: Stop;

  constructor(message: Taken, shop: Workshop, stop: Stop) {
    this.#message = message;
    this.#shop = shop;
    this.#stop = stop;
  }

  get sql() {
    return this.#shop.sql;
  }
  get now() {
    return this.#shop.tools.now;
  }
  get models() {
    return this.#shop.tools.models;
  }
  get sandbox() {
    return this.#shop.tools.sandbox;
  }
  get signal() {
    return this.#stop.signal();
  }

  get keep(): Tools["keep"] {
    return async (artifact) => {
      this.#stop.check();
      const { token, id } = this.#message;
      const at = this.#shop.tools.now();
      const draft = { message: this.#message, token: `${token}-${id}`, at };
      this.#own().staged.push(await stage(this.#shop.artifactsBase, artifact, draft));
    };
  }

  get status(): Tools["status"] {
    return async (text, data = {}) => {
      this.#stop.check(); // an attempt that has ended has no progress
      const { sql, name } = this.#shop;
      await tell(sql, this.#message, { what: "status", worker: name, details: { text, ...data } });
      await wake(sql, { roles: [], traces: [this.#message.traceId], flows: [] });
    };
  }

  get record(): Tools["record"] {
    return (kind, data) => void this.#own().records.push({ kind, data });
  }

  #own(): { staged: Staged[]; records: Fact[] } {
    if (this.left === nothing) this.left = { staged: [], records: [] };
    return this.left;
  }
}
