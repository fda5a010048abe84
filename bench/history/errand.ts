import { z } from "zod";

/** What a worker process of bus-history is told first. */
export const Errand = z.object({
  url: z.string(),
  name: z.string(),
  concurrency: z.number().int().positive(),
  lease_ms: z.number().int().positive(),
  pause_ms: z.number().nonnegative().nullable(), // how long its handler takes; null: for ever
  tell_from: z.number(), // it tells the beginning of messages from this number on
});
export type Errand = z.infer<typeof Errand>;

/** What it tells: that it works, and when a message began, in nanoseconds of the clock all processes share. */
export const Told = z.union([z.object({ ready: z.literal(true) }), z.object({ n: z.number(), at: z.string() })]);
export type Told = z.infer<typeof Told>;
