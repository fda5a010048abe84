import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { cancelTrace } from "../../src/bus/cancel.ts";
import { ApprovalPolicy, ApprovalRecord, type ApprovalView } from "../../src/contracts/approval.ts";
import { answerApproval, approvalOf, listApprovals } from "../../src/ops/approvals.ts";
import { countEnds } from "../../src/ops/ends.ts";
import { putAgent as register } from "../../src/store/agents.ts";
import { decisionsIn } from "../../src/store/decisions.ts";
import { eventsOf } from "../../src/store/events.ts";
import { standings } from "../../src/store/standings.ts";
import { envelopesOf, traceOf } from "../../src/store/traces.ts";
import { shipped } from "../support/agents.ts";
import { ended, openPlay, player } from "../support/play.ts";
import { openWorld, type World } from "../support/world.ts";

const rule = { ask: "before_execution", expires_s: 60, kinds: ["operator", "admin"], names: null };
const policy = ApprovalPolicy.parse({
  default: rule,
  overrides: [{ tenant: "free", ask: "never" }],
});
const alice = { name: "alice", kinds: ["operator"], reach: null };

describe("work that a person must approve before an agent gets it", () => {
  let world: World;
  let play: Awaited<ReturnType<typeof openPlay>>;
  let worked: string[];
  let fails = new Set<string>();
  const start = () =>
    openPlay(world, {
      behave: (agentId, prompt) => {
        if (fails.has(agentId)) return { code: "agent_failed" };
        worked.push(prompt);
        return `${agentId} did ${prompt}`;
      },
      policy: () => shipped,
      approvals: () => policy,
    });
  beforeAll(async () => {
    world = await openWorld();
    await world.sql`insert into tenants (id) values ('free'), ('acme')`;
    await register(world.sql, player({ price: { per_call_usd: 0.25, per_1k_tokens_usd: 0 } }));
    play = await start();
  });
  beforeEach(() => {
    worked = [];
  });
  afterAll(async () => {
    await play?.stop();
    await world?.close();
  });

  const approvals = () => ({ sql: world.sql, policy });
  const all = { reach: null, tenant: null, traceId: null, state: null, before: null, limit: 50 } as const;
  async function waiting(traceId: string): Promise<ApprovalView> {
    const find = async () => (await listApprovals(approvals(), { ...all, traceId })).approvals;
    await expect.poll(find, { timeout: 20_000 }).toHaveLength(1);
    const [one] = await find();
    if (!one) throw new Error("it is there");
    return one;
  }
  const answer = (id: string, decision: "approve" | "refuse", reason = "I looked at it") =>
    answerApproval(approvals(), id, { by: alice, answer: { decision, reason } });
  const facts = async (traceId: string) =>
    (await eventsOf(world.sql, traceId)).filter(({ kind }) => kind.startsWith("approval_"));
  const recordOf = async (traceId: string) =>
    ApprovalRecord.parse(JSON.parse(await readFile(join(world.dir, traceId, "approval/execution.json"), "utf8")));

  test("waits without a lease and shows what is asked; approved, it is carried out once", async () => {
    const traceId = await play.send({ prompt: "a clock", workspace: { "a.js": "1" }, max_rounds: 3 });
    const approval = await waiting(traceId);

    expect(worked).toEqual([]);
    expect(await world.sql`select from bus_held`).toHaveLength(0);
    expect(await world.sql`select from bus_queue`).toHaveLength(0);
    const [decision] = await decisionsIn(world.sql, { traceId, tenant: "local" });
    expect(approval).toMatchObject({
      state: "waiting",
      tenant: "local",
      answered: null,
      asked: {
        before: "execution",
        intent: "code.generate",
        agent: { agent_id: "steady", agent_version: "1", decision_id: decision?.id, because: decision?.record.because },
        request: { text: "a clock", cut: false, max_rounds: 3 },
        workspace: { files: 1, bytes: 1, patch_bytes: 0 },
        estimate: { cost_usd: 0.25, calls: 1 },
        patch: null,
      },
      links: { trace: `/api/traces/${traceId}` },
    });

    const given = await answer(approval.id, "approve");
    await ended(world, traceId);

    expect(given).toMatchObject({ state: "approved", answered: { by: "alice", decision: "approve" } });
    expect((await traceOf(world.sql, traceId, null))?.answer).toMatchObject({ text: "steady did a clock" });
    expect(worked).toEqual(["a clock"]);
    expect(await facts(traceId)).toMatchObject([
      { kind: "approval_asked", agent_id: null, details: { wait_id: approval.id, asked: approval.asked } },
      { kind: "approval_given", details: { wait_id: approval.id, by: "alice", reason: "I looked at it" } },
    ]);
    expect(await recordOf(traceId)).toMatchObject({ state: "approved", by: "alice", approval_id: approval.id });
    const kinds = (await eventsOf(world.sql, traceId)).map(({ kind }) => kind);
    expect(kinds.indexOf("approval_asked")).toBeGreaterThan(kinds.indexOf("orchestrate_decision"));
    const executed = (await envelopesOf(world.sql, traceId)).find(({ role }) => role === "execute");
    expect(executed).toMatchObject({ agent_id: "steady", status: "done", attempts: 1 });
  });

  test("refused, ends its trace with the reason; no agent worked, none is blamed, and nobody will try it again", async () => {
    const traceId = await play.send({ prompt: "a bomb" });
    const { id } = await waiting(traceId);

    await answer(id, "refuse", "not on our machines");
    await ended(world, traceId);

    expect((await traceOf(world.sql, traceId, null))?.failure).toMatchObject({
      code: "approval_refused",
      message: "alice refused it, before an agent got the work: not on our machines",
      details: { approval_id: id, before: "execution", by: "alice", reason: "not on our machines" },
    });
    expect(worked).toEqual([]);
    expect(await facts(traceId)).toMatchObject([
      { kind: "approval_asked" },
      { kind: "approval_refused", details: { by: "alice", reason: "not on our machines" } },
    ]);
    expect(await recordOf(traceId)).toMatchObject({ state: "refused", by: "alice", reason: "not on our machines" });
    expect(await world.sql`select from bus_dead where trace_id = ${traceId}`).toHaveLength(0);
    expect(await world.sql`select from bus_tallies where dead > 0`).toHaveLength(0);
    await countEnds(world.sql, shipped);
    expect(await decisionsIn(world.sql, { traceId, tenant: "local" })).toMatchObject([
      { outcome: "void", code: "approval_refused" },
    ]);
  });

  test("that nobody approves in time ends as approval_expired, and cannot be answered any more", async () => {
    const traceId = await play.send({ prompt: "a late one" });
    const { id } = await waiting(traceId);

    await world.moveClock(61);
    await ended(world, traceId);

    expect((await traceOf(world.sql, traceId, null))?.failure).toMatchObject({
      code: "approval_expired",
      details: { approval_id: id, before: "execution" },
    });
    expect((await facts(traceId)).map(({ kind }) => kind)).toEqual(["approval_asked", "approval_expired"]);
    expect(await recordOf(traceId)).toMatchObject({ state: "expired", by: null });
    expect(await world.sql`select from bus_dead where trace_id = ${traceId}`).toHaveLength(0);
    await expect(answer(id, "approve")).rejects.toMatchObject({ code: "approval_expired", status: 410 });
    expect(worked).toEqual([]);
  });

  test("is answered once, whoever is first: the others are told by whom", async () => {
    const traceId = await play.send({ prompt: "contested" });
    const { id } = await waiting(traceId);

    const answers = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => answer(id, n % 2 ? "approve" : "refuse", `number ${n}`)),
    );
    await ended(world, traceId);

    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const one of answers) {
      if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "conflict", status: 409 });
    }
    const kinds = (await facts(traceId)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => /given|refused/.test(kind))).toHaveLength(1);
    expect(worked).toHaveLength(kinds.includes("approval_given") ? 1 : 0);
    await expect(answer(id, "approve")).rejects.toThrow(/by alice/);
  });

  test("outlives its workers: what is answered while none runs goes on with the next", async () => {
    const traceId = await play.send({ prompt: "patient" });
    const { id } = await waiting(traceId);
    await play.stop();

    await answer(id, "approve");
    expect(worked).toEqual([]);
    play = await start();

    await ended(world, traceId);
    expect(worked).toEqual(["patient"]);
  });

  test("is in nobody's hand while it waits, and that time is not the agent's", async () => {
    const traceId = await play.send({ prompt: "slow boss" });
    const { id } = await waiting(traceId);
    const inFlight = async () => (await standings(world.sql, "executor.execute")).agents[0]?.in_flight;
    await countEnds(world.sql, shipped);
    expect(await inFlight()).toBe(0);

    await world.moveClock(40);
    await answer(id, "approve");
    await ended(world, traceId);

    await countEnds(world.sql, shipped);
    const [decision] = await decisionsIn(world.sql, { traceId, tenant: "local" });
    expect(decision?.outcome).toBe("good");
    expect(decision?.latency_ms).toBeLessThan(20_000);
  });

  test("is asked for again when the approved agent fails for good and another shall do it", async () => {
    await register(world.sql, player({ id: "zeal" }));
    const traceId = await play.send({ prompt: "who else" });
    const first = await waiting(traceId);
    const { agent_id } = first.asked.agent;
    fails = new Set([agent_id]);
    const other = agent_id === "zeal" ? "steady" : "zeal";

    await answer(first.id, "approve");
    await expect.poll(async () => (await facts(traceId)).length, { timeout: 20_000 }).toBe(3);
    const second = (await listApprovals(approvals(), { ...all, traceId, state: "waiting" })).approvals[0];
    expect(second?.asked.agent.agent_id).toBe(other);
    expect(worked).toEqual([]);
    await answer(second?.id ?? "", "approve");

    await ended(world, traceId);
    expect((await traceOf(world.sql, traceId, null))?.answer).toMatchObject({ text: `${other} did who else` });
    fails = new Set();
    await world.sql`delete from registry_agents where id = 'zeal'`;
  });

  test("that is called off cannot be approved", async () => {
    const traceId = await play.send({ prompt: "regretted" });
    const { id } = await waiting(traceId);

    await cancelTrace(world.sql, { traceId, tenant: "local", by: "me" });

    expect(await approvalOf(approvals(), id, alice)).toMatchObject({ state: "cancelled", answered: null });
    await expect(answer(id, "approve")).rejects.toMatchObject({ code: "conflict" });
  });

  test("with a payload as large as one may be can still be approved", async () => {
    const traceId = await play.send({ prompt: "large", workspace: { "a.js": "x".repeat(261_800) } });
    const { id } = await waiting(traceId);

    await answer(id, "approve", "y".repeat(2000));

    await ended(world, traceId);
    expect((await traceOf(world.sql, traceId, null))?.failure).toBe(null);
  });

  test("is not asked for a tenant with an override, and is within the reach of its own operators only", async () => {
    const { trace } = await play.ask({ prompt: "free work" }, { tenant: "free" });
    expect(trace?.status).toBe("done");

    const traceId = await play.send({ prompt: "theirs" }, { tenant: "acme" });
    const { id } = await waiting(traceId);
    const foreign = { ...alice, reach: "local" };
    await expect(approvalOf(approvals(), id, foreign)).rejects.toMatchObject({ code: "not_found" });
    await expect(
      answerApproval(approvals(), id, { by: foreign, answer: { decision: "approve", reason: "" } }),
    ).rejects.toMatchObject({ code: "not_found" });
    expect((await listApprovals(approvals(), { ...all, reach: "local", tenant: "acme" })).approvals).toEqual([]);
  });
});
