import type { Goal } from "../goals.ts";

/** What a part of the evaluation is given. `data` is the folder of recorded agents. */
export type Setting = { seeds: number; data: string; progress: (text: string) => void; signal: AbortSignal };

/** What it found: `numbers` are fields of the report. */
export type Found = { numbers: Record<string, unknown>; goals: Goal[] };

/** One part of the evaluation. Throws `not_found` when what it needs is not there. */
export type Part = { name: string; judge(setting: Setting): Promise<Found> };
