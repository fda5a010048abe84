/** Everything that is measured. `raw` is no bus: the least that storing a message can cost. */
export const systemNames = ["ours", "graphile_worker", "pg_boss", "raw"] as const;
export type SystemName = (typeof systemNames)[number];

/** What every message carries, in every system. `n` tells them apart. */
export type Body = { n: number; text: string };

/** Puts messages in, from a process that does not work on them. */
export type Client = {
  batch(bodies: Body[]): Promise<void>; // all in one call
  single(body: Body): Promise<void>;
  left(): Promise<boolean>; // whether anything is not yet settled
  close(): Promise<void>;
};

/** A system as the harness sees it: the same few doors for all, at the settings its own documentation recommends for speed. */
export type System = {
  version: string;
  settings: Record<string, unknown>; // what was chosen, for the report
  /** Makes its tables in an empty database. */
  prepare(url: string): Promise<void>;
  /** Opens a client whose `single` may be called by `inFlight` callers at one time. */
  client(url: string, inFlight: number): Promise<Client>;
  /** Works until the process ends, with a handler that calls `begun` and answers at once. Null: it does not work. */
  work: ((url: string, begun: (n: number) => void) => Promise<void>) | null;
  /** Throws when what it kept of `messages` drained messages is less than it promises. */
  check?(url: string, messages: number): Promise<void>;
};
