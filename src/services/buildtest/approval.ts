import type { Outcome } from "../../bus/handler.ts";
import type { BuildTestReport, BuildTestRequest, Written } from "../../contracts/code.ts";
import type { Answer, Message } from "../../contracts/message.ts";
import type { Workspace } from "../../contracts/work.ts";
import { requestShown, touchedBy, waitFor } from "../../rules/approval.ts";
import type { Tree } from "../../rules/tree.ts";
import type { Sql } from "../../store/database.ts";
import { decisionOf } from "../../store/decisions.ts";

type Green = {
  answer: Answer; // that is given once somebody has said yes
  report: BuildTestReport;
  written: Written;
  given: Tree;
  edited: { before: Workspace; after: Workspace };
  sql: Sql;
};

/** A change that is green and that a person must let go: what is shown to him, and the answer that waits for his. */
export async function askForPatch(
  { id, tenant, intent, idempotencyKey, assignment, payload: { work } }: Message<BuildTestRequest>,
  { answer, report, written: { change, metrics }, given, edited, sql }: Green,
): Promise<Outcome<BuildTestReport>> {
  const decided = assignment?.fallback ? await decisionOf(sql, assignment.fallback.of, tenant) : null;
  const { agent_id = "", agent_version = "", canary = false, model = null } = assignment ?? {};
  const ask = {
    before: "patch" as const,
    intent,
    agent: {
      agent_id,
      agent_version,
      canary,
      model,
      because: decided?.record.because ?? "",
      decision_id: decided?.id ?? id,
    },
    request: requestShown(work),
    workspace: sizeOf(given, work.patch),
    estimate: { cost_usd: metrics.cost_usd ?? 0, tokens: metrics.tokens_total, calls: metrics.round },
    patch: {
      summary: change.summary,
      files: touchedBy(edited.before, edited.after),
      tests: report.tests,
      rounds: metrics.round,
      provider: `${metrics.provider} ${metrics.model}`,
      replay: metrics.replay,
      tokens: metrics.tokens_total,
    },
  };
  const { expires_s = 86_400 } = assignment?.approval ?? {};
  const key = `${idempotencyKey}#patch`;
  return { result: report, wait: waitFor(ask, { answer }, { expires_s, assignment, key }) };
}

function sizeOf({ files }: Tree, patch: string | null | undefined) {
  const sizes = [...files.values()].map((file) => (file instanceof Uint8Array ? file.byteLength : file.bytes));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return { files: files.size, bytes, patch_bytes: Buffer.byteLength(patch ?? "") };
}
