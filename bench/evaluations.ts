import type { Benchmark } from "./benchmark.ts";

/** Everything `dagent eval` can judge: how well something decides, not how fast. To add one: as a benchmark, here. */
export const evaluations: Benchmark[] = [
  {
    name: "decisions",
    about:
      "the orchestrator on recorded agents: what it solves, how soon it pauses a bad canary, what it can say of others",
    options: [
      { flags: "--data <folder>", about: "of recorded agents", fallback: "../shared/data" },
      { flags: "--seeds <n>", about: "of each simulation", fallback: "1000" },
      { flags: "--only <parts>", about: "of bus, solving, canary, off_policy, drift, score; with commas" },
    ],
    load: () => import("./decisions/evaluate.ts"),
  },
];
