import type { Benchmark } from "./benchmark.ts";

/** Everything `dagent bench` can measure. To add one: a file with `measure(bench)`, and an entry here. */
export const benchmarks: Benchmark[] = [];
