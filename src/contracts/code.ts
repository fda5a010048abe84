import { z } from "zod";
import { SandboxClass } from "./limits.ts";
import { ViolationReason } from "./sandbox.ts";
import { Work, WorkspacePath } from "./work.ts";

/** One change to one file: its whole new text, or its removal. */
export const Edit = z.union([
  z.strictObject({ path: WorkspacePath, content: z.string().max(200_000) }),
  z.strictObject({ path: WorkspacePath, delete: z.literal(true) }),
]);
export type Edit = z.infer<typeof Edit>;

/** What a model answers, and `codegen/edits.json`: a change in words and in files. */
export const EditSet = z.strictObject({
  summary: z.string().max(4000),
  edits: z.array(Edit).min(1).max(100),
});
export type EditSet = z.infer<typeof EditSet>;

/** What executor.execute is asked; who carries it out is in the message's assignment. */
export const ExecuteRequest = z.object({ work: Work });
export type ExecuteRequest = z.infer<typeof ExecuteRequest>;

/** What every change came to so far, one fingerprint a round: a model that comes back to one of them goes in circles. */
const Seen = z.array(z.string()).max(10);

/** What a model goes back to work with: its last change, why that was red, what all of it cost so far. */
export const Rounds = z.object({
  round: z.number().int().min(1), // of the change below
  change: EditSet,
  log: z.string().max(8000), // the failing log, trimmed to what matters
  failing: z.array(z.string()), // names of the failing tests, as far as they are known
  tokens: z.number().int().nonnegative(), // of all rounds, input and output
  cost_usd: z.number().nonnegative().nullish(), // of all rounds; null: not known
  seen: Seen,
});
export type Rounds = z.infer<typeof Rounds>;

/** What codegen.generate is asked. `rounds` null: the first try. */
export const GenerateRequest = z.object({
  work: Work,
  rounds: Rounds.nullable(),
  answered: z.object({ answer: z.unknown() }).optional(), // what an agent has answered later: an AgentAnswer
  unanswered: z.object({ id: z.string() }).optional(), // or has not
});
export type GenerateRequest = z.infer<typeof GenerateRequest>;

/** Who wrote a change and what it cost; also `codegen/metrics.json`. Null: the provider did not say. */
export const CodegenMetrics = z.object({
  round: z.number().int().min(1),
  provider: z.string(),
  model: z.string(),
  replay: z.boolean(), // true: recorded output, not a live model
  tokens: z.object({ input: z.number().int(), output: z.number().int() }).nullable(), // of this round
  tokens_total: z.number().int().nonnegative(), // of all rounds, as far as it was said
  cost_usd: z.number().nonnegative().nullable(),
  cost_total_usd: z.number().nonnegative().nullish(), // of all rounds; null: of one it is not known
  took_ms: z.number().nonnegative(),
  waits: z.boolean().optional(), // true: the agent will answer later
});
export type CodegenMetrics = z.infer<typeof CodegenMetrics>;

/** A change on its way to its tests, and who wrote it. Every round's change starts from the workspace as it came. */
export const Written = z.object({ change: EditSet, metrics: CodegenMetrics, seen: Seen });
export type Written = z.infer<typeof Written>;

/** What buildtest.run is asked. `written` null: the caller brought the code. */
export const BuildTestRequest = z.object({ work: Work, written: Written.nullable() });
export type BuildTestRequest = z.infer<typeof BuildTestRequest>;

export const FailingTest = z.object({
  name: z.string(),
  file: z.string().nullable(),
  line: z.number().int().nullable(), // in that file
  message: z.string(), // the first lines of why
});
export type FailingTest = z.infer<typeof FailingTest>;

/** How the tests went, as far as the runner's output says. */
export const TestCounts = z.object({
  passed: z.number().int().nonnegative(),
  failed: z.number().int().nonnegative(),
  skipped: z.number().int().nonnegative(),
});
export type TestCounts = z.infer<typeof TestCounts>;

/** A limit of the sandbox that was broken. */
export const Violation = z.object({
  reason: ViolationReason,
  limit: z.union([z.number(), z.string()]).nullable(),
  observed: z.union([z.number(), z.string()]).nullable(),
});
export type Violation = z.infer<typeof Violation>;

/** How a project's dependencies were installed, in a run of their own. */
export const InstallReport = z.object({
  manager: z.enum(["npm", "pnpm", "pip"]),
  cached: z.boolean(), // true: they were kept from before, and nothing was run
  wall_ms: z.number().nonnegative(),
  code: z.number().int().nullable(), // 0: they are there; null: a signal ended it, or it could not be run
});
export type InstallReport = z.infer<typeof InstallReport>;

/** `build-test/report.json`: what was run, where, and what came of it. */
export const BuildTestReport = z.object({
  verdict: z.enum(["pass", "fail"]),
  round: z.number().int().min(1), // of a model's tries; 1 when the caller brought the code
  class: SandboxClass, // of the sandbox
  sandbox_ms: z.number().nonnegative(), // from giving the run to a sandbox to its answer
  steps: z.array(
    z.object({
      name: z.enum(["build", "test"]),
      command: z.string(),
      code: z.number().int().nullable(), // null: ended by a signal
      signal: z.string().nullable(),
      wall_ms: z.number().nonnegative(),
      cpu_ms: z.number().nonnegative().nullable(), // null: this class cannot measure it
    }),
  ),
  tests: TestCounts.nullable(), // null: the output does not say
  failing: z.array(FailingTest),
  violation: Violation.nullable(), // the limit a model's change broke; a caller's own project fails with it instead
  skipped_files: z.array(z.object({ path: z.string(), why: z.string() })), // not brought back from the sandbox
  install: InstallReport.nullable().default(null), // null: there was nothing to install
});
export type BuildTestReport = z.infer<typeof BuildTestReport>;

/** `build-test/summary.json`: the verdict for somebody in a hurry. */
export const BuildTestSummary = z.object({
  verdict: z.enum(["pass", "fail"]),
  tests: TestCounts.nullable(),
  first_failing: z.string().nullable(),
  wall_ms: z.number().nonnegative(),
});
export type BuildTestSummary = z.infer<typeof BuildTestSummary>;

/** 200 of the gate: all is green. When it is not, the same stands in a problem (422, `tests_failed`). */
export const GateView = z.object({
  trace_id: z.string(),
  verdict: z.enum(["pass", "fail"]),
  text: z.string(), // the verdict in words
  tests: TestCounts.nullable(),
  failing: z.array(FailingTest),
});
export type GateView = z.infer<typeof GateView>;
