import { stage } from "../store/artifacts.ts";
import { tellProgress } from "../store/events.ts";
import { openUpload } from "../store/uploads.ts";
import type { Attempt } from "./attempt.ts";
import { putAside } from "./budget.ts";
import type { Tools } from "./handler.ts";
import { openOutlet } from "./outlet.ts";

/** The tools of one attempt. Each is made when it is asked for, and a handler may take it out by name. */
export class AttemptTools implements Tools {
  readonly #attempt: Attempt;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
  }

  get sql(): Tools["sql"] {
    return this.#attempt.shop.sql;
  }

  get now(): Tools["now"] {
    return this.#attempt.shop.tools.now;
  }

  get models(): Tools["models"] {
    return this.#attempt.shop.tools.models;
  }

  get prices(): Tools["prices"] {
    return this.#attempt.shop.tools.prices;
  }

  get outlet(): NonNullable<Tools["outlet"]> {
    const { shop, message } = this.#attempt;
    return (round) => openOutlet(shop.sql, { traceId: message.traceId, round });
  }

  get outside(): Tools["outside"] {
    return this.#attempt.shop.tools.outside;
  }

  get sandbox(): Tools["sandbox"] {
    return this.#attempt.shop.tools.sandbox;
  }

  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  get upload(): Tools["upload"] {
    const { shop, message } = this.#attempt;
    return (id) => openUpload(shop.artifactsBase, { tenant: message.tenant, id, now: shop.tools.now() });
  }

  get keep(): Tools["keep"] {
    const { shop, message, left } = this.#attempt;
    return async (artifact) => {
      this.#attempt.check();
      const token = `${message.token}-${message.id}`;
      left.staged.push(
        await stage(shop.artifactsBase, artifact, { message, token, at: shop.tools.now(), others: left.staged }),
      );
    };
  }

  get reserve(): Tools["reserve"] {
    const { shop, message, left } = this.#attempt;
    return async (most) => {
      this.#attempt.check();
      if (!shop.budgets) return { tokens: most.tokens };
      const made = putAside(shop.sql, message, { policy: shop.budgets(), most });
      left.aside = { made: made.catch(() => {}), figure: null };
      return made;
    };
  }

  get spend(): Tools["spend"] {
    const { left } = this.#attempt;
    return (figure) => {
      if (left.aside) left.aside.figure = figure;
    };
  }

  get status(): Tools["status"] {
    const { shop, message } = this.#attempt;
    return async (text, data = {}, kind) => {
      this.#attempt.check(); // an attempt that has ended has no progress
      await tellProgress(shop.sql, message, { worker: shop.name, details: { text, ...data }, kind });
    };
  }

  get record(): Tools["record"] {
    const { left } = this.#attempt;
    return (kind, data) => void left.records.push({ kind, data });
  }
}
