/** An option of a benchmark, as the command line shows it. */
export type BenchOption = { flags: string; about: string; fallback?: string };

/** What the command line hands a benchmark. `option` answers what was asked for, or the fallback. */
export type Bench = {
  option(name: string): string | undefined; // 'messages'
  progress(text: string): void; // one line, on standard error
  signal: AbortSignal; // fires on Ctrl-C: stop measuring, clean up
};

/** What a benchmark found: `report` is what --json prints, `tables` what people read (rows of cells, the first is the head). */
export type Findings = { report: Record<string, unknown>; tables: string[][][] };

/** A benchmark. Its code is loaded when it is asked for. */
export type Benchmark = {
  name: string; // 'bus'
  about: string;
  options: BenchOption[];
  load(): Promise<{ measure(bench: Bench): Promise<Findings> }>;
};
