import { z } from "zod";
import { systemNames } from "./system.ts";

/** What a worker process of a measurement is told first. */
export const Errand = z.object({ system: z.enum(systemNames), url: z.string() });
export type Errand = z.infer<typeof Errand>;

/** What it tells: that it works, how many it began so far (now and then), and each beginning while it is watched. */
export const Told = z.union([
  z.object({ ready: z.literal(true) }),
  z.object({ begun: z.number() }),
  z.object({ n: z.number(), at: z.string() }), // nanoseconds of the clock that all processes of a machine share
]);
export type Told = z.infer<typeof Told>;

/** What it may be told later: whether to tell each beginning. */
export const Watch = z.object({ watch: z.boolean() });
