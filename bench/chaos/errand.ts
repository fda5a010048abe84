import { z } from "zod";

/** What a worker of a run is told first, over its channel. */
export const Errand = z.object({
  name: z.string(),
  url: z.string(),
  artifacts_base: z.string(),
  lease_ms: z.number().int().positive(),
  grace_ms: z.number().int().nonnegative(), // how long it finishes what it holds when it is told to leave
  deaf: z.boolean(),
});
export type Errand = z.infer<typeof Errand>;

/** What it may be told later: whether it hears wake-ups. */
export const Hearing = z.object({ deaf: z.boolean() });
export type Hearing = z.infer<typeof Hearing>;
