import type { Client } from "../../src/client/client.ts";
import type { ApprovalView } from "../../src/contracts/approval.ts";
import type { TraceAnswer } from "../../src/contracts/http.ts";
import { countOf, must, type Stage, type Story } from "../story.ts";
import { slugify } from "./generate.ts";

/** The tenant whose work a person must approve, before an agent gets it and before its change is handed out. */
export const carefulTenant = "careful";

/** Work that an operator lets go, twice; until then the change is his alone to read. */
export const approved: Story = {
  name: "an approval that is given",
  needsSandbox: true,
  walk: (stage) =>
    withKeys(stage, async ({ asker, operator }) => {
      const seen: ApprovalView[] = [];
      const all = await answering({ asker, operator }, async (approval) => {
        seen.push(approval);
        if (approval.asked.before === "patch") {
          const early = await asker.artifact(`${approval.trace_id}/codegen/diff.patch`).catch(({ code }) => code);
          must(early === "forbidden", "the change is not handed out before");
        }
        await operator.answerApproval(approval.id, { decision: "approve", reason: "it is only a slug" });
        const again = await operator
          .answerApproval(approval.id, { decision: "refuse", reason: "too late" })
          .catch(({ code }) => code);
        must(again === "conflict", "a second answer is refused");
      });
      const { trace } = all;
      const [execution, patch] = seen;
      must(execution?.asked.before === "execution" && patch?.asked.before === "patch", "it is asked at both moments");
      must(execution.asked.request.text === slugify.message, "the request is shown");
      must(execution.asked.agent.because !== "", "and why that agent");
      must(patch.asked.patch?.files[0]?.path === "slugify.js", "and of the change its files");
      must(trace.answer?.verdict === "pass", `it is green: ${trace.failure?.message ?? trace.answer?.text}`);
      must(countOf(all, "approval_given") === 2 && countOf(all, "codegen_done") === 1, "it was carried out once");
      const { content } = await asker.artifact(`${trace.trace_id}/codegen/diff.patch`);
      must(new TextDecoder().decode(content).includes("+++ b/slugify.js"), "the change is handed out");
      const { agent_id } = execution.asked.agent;
      return { saw: `asked before ${agent_id} worked and before its change went out`, traces: [trace.trace_id] };
    }),
};

/** Work that an operator refuses: it ends with his reason, and no agent has seen it. */
export const refused: Story = {
  name: "an approval that is refused",
  needsSandbox: false,
  walk: (stage) =>
    withKeys(stage, async ({ asker, operator }) => {
      const reason = "not this week";
      const all = await answering({ asker, operator }, async ({ id, trace_id }) => {
        const { trace } = await asker.trace(trace_id);
        must(trace.waits_for[0]?.id === id, "the trace says what it waits for");
        await operator.answerApproval(id, { decision: "refuse", reason });
      });
      const { trace, messages } = all;
      must(
        trace.failure?.code === "approval_refused",
        `it ends as refused, not ${trace.failure?.code ?? trace.status}`,
      );
      must(trace.failure.message.includes(reason), "with the reason");
      must(!messages.some(({ role }) => role === "execute" || role === "generate"), "no agent has seen it");
      const { content } = await asker.artifact(`${trace.trace_id}/approval/execution.json`);
      must(JSON.parse(new TextDecoder().decode(content)).reason === reason, "it is kept who refused it, and why");
      const { approvals } = await operator.approvals({ tenant: carefulTenant, state: "refused" });
      must(approvals[0]?.trace_id === trace.trace_id, "and operators find it");
      return { saw: trace.failure.message, traces: [trace.trace_id] };
    }),
};

type People = { asker: Client; operator: Client };

/** Somebody of the careful tenant and an operator, each with a key of his own, for as long as the story lasts. */
async function withKeys<Result>(stage: Stage, go: (people: People) => Promise<Result>): Promise<Result> {
  const admin = await stage.client.createKey({ name: "admin of the story", kind: "admin" }); // closes the door to others
  const owner = stage.open(admin.key);
  const made = [admin];
  try {
    const operator = await owner.createKey({ name: "alice", kind: "operator" });
    const asker = await owner.createKey({ name: "asker", kind: "tenant", tenant: carefulTenant });
    made.unshift(operator, asker);
    return await go({ asker: stage.open(asker.key), operator: stage.open(operator.key) });
  } finally {
    for (const { id } of made) await owner.revokeKey(id); // the admin's own comes last
  }
}

/** Asks for code and answers each approval as it comes up, until the trace has ended. */
async function answering(
  { asker, operator }: People,
  answer: (approval: ApprovalView) => Promise<void>,
): Promise<TraceAnswer> {
  const { trace_id } = await asker.chat(slugify);
  for await (const news of asker.follow(trace_id, { signal: AbortSignal.timeout(60_000) })) {
    if (news.name !== "event" || news.event.kind !== "approval_asked") continue;
    await answer(await operator.approval(String(news.event.details.wait_id)));
  }
  return asker.trace(trace_id);
}
