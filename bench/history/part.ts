import type { Goal } from "../goals.ts";
import type { BenchGround } from "../ground.ts";

/** What every part of bus-history is given: a server, how large (1: as promised), and where to say how far it is. */
export type Site = { ground: BenchGround; scale: number; progress: (text: string) => void; signal: AbortSignal };

/** What a part found: its numbers, and how its promises stand. */
export type Part = { report: Record<string, unknown>; goals: Goal[] };

/** `count` at this scale, `least` at least. */
export function scaled(count: number, scale: number, least: number): number {
  return Math.max(least, Math.round(count * scale));
}
