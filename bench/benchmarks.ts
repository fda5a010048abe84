import type { Benchmark } from "./benchmark.ts";

/** Everything `dagent bench` can measure. To add one: a file with `measure(bench)`, and an entry here. */
export const benchmarks: Benchmark[] = [
  {
    name: "bus",
    about: "our bus beside graphile-worker and pg-boss on one Postgres",
    options: [
      { flags: "--messages <n>", about: "of a drain", fallback: "60000" },
      {
        flags: "--rounds <n>",
        about: "of which the median is taken; 3 at least for numbers to be believed",
        fallback: "3",
      },
      { flags: "--only <names>", about: "of ours, graphile_worker, pg_boss, raw; with commas" },
    ],
    load: () => import("./bus/bench.ts"),
  },
  {
    name: "bus-history",
    about: "our bus with old snapshots, a long history, a flood and a killed worker",
    options: [
      { flags: "--scale <share>", about: "of the sizes that were promised; 0.1 is a quick run", fallback: "1" },
      { flags: "--only <parts>", about: "of killed, fairness, lookups, claims; with commas" },
    ],
    load: () => import("./history/bench.ts"),
  },
  {
    name: "sandbox",
    about: "starts, throughput and limits of the sandbox beside the plain process, through a real worker",
    options: [
      { flags: "--starts <n>", about: "of each program, each way", fallback: "60" },
      { flags: "--rounds <n>", about: "of all the HumanEval programs, each way", fallback: "3" },
      { flags: "--data <folder>", about: "with code/HumanEval.jsonl.gz in it", fallback: "../shared/data" },
      { flags: "--only <parts>", about: "of starts, humaneval, overrun, violation; with commas" },
    ],
    load: () => import("./sandbox/bench.ts"),
  },
  {
    name: "sandbox-leftovers",
    about: "what mixed runs and the SIGKILL of their worker leave behind, before and after the next start",
    options: [{ flags: "--runs <n>", about: "before the worker is killed", fallback: "1000" }],
    load: () => import("./sandbox/leftovers.ts"),
  },
  {
    name: "code",
    about: "recorded programs through the whole system beside plain processes, and a repository of 20,000 files",
    options: [
      { flags: "--rounds <n>", about: "of all the HumanEval programs, each way", fallback: "3" },
      { flags: "--in-flight <n>", about: "requests at one time; 4 at least", fallback: "4" },
      { flags: "--files <n>", about: "of the large repository", fallback: "20000" },
      { flags: "--megabytes <n>", about: "of the large repository", fallback: "200" },
      { flags: "--data <folder>", about: "with code/HumanEval.jsonl.gz in it", fallback: "../shared/data" },
      { flags: "--only <parts>", about: "of throughput, large; with commas" },
    ],
    load: () => import("./code/bench.ts"),
  },
];
