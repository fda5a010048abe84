/** Where facts go: one JSON line each, with `trace_id` where there is one. The order of arguments is pino's. */
export type Log = {
  info(fact: Record<string, unknown>, text: string): void;
  warn(fact: Record<string, unknown>, text: string): void;
  error(fact: Record<string, unknown>, text: string): void;
};
