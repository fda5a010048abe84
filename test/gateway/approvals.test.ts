import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { settleDone, settleFailed } from "../../src/bus/settle.ts";
import { openClient } from "../../src/client/client.ts";
import {
  AnsweredRequest,
  type ApprovalAsk,
  ApprovalList,
  ApprovalPolicy,
  ApprovalView,
} from "../../src/contracts/approval.ts";
import { Accepted, ArtifactList, Problem } from "../../src/contracts/http.ts";
import { waitFor } from "../../src/rules/approval.ts";
import { answered } from "../../src/services/orchestrator/answered.ts";
import { releaseArtifacts, stage } from "../../src/store/artifacts.ts";
import type { Claimed } from "../../src/store/messages.ts";
import { openKeys } from "../support/keys.ts";
import { answer, type Door, gatewayOf, openDoor, post, shipped, take } from "./door.ts";

const rule = { ask: "always", expires_s: 60, kinds: ["operator", "admin"], names: null };
const asked: ApprovalAsk = {
  before: "execution",
  intent: "code.generate",
  agent: { agent_id: "steady", agent_version: "1", canary: false, model: null, because: "alone", decision_id: "7" },
  request: { text: "a clock", cut: false, language: null, build: null, test: null, max_rounds: 1 },
  workspace: { files: 0, bytes: 0, patch_bytes: 0 },
  estimate: { cost_usd: 0, tokens: 2000, calls: 1 },
  patch: null,
};

describe("/api/approvals", () => {
  let door: Door;
  let headers: Awaited<ReturnType<typeof openKeys>>;
  let policy = ApprovalPolicy.parse({ default: rule, overrides: [] });
  beforeAll(async () => {
    door = await openDoor({ approvals: () => policy });
    headers = await openKeys(door.world.sql, {
      alice: { kind: "operator", tenant: "local" },
      bob: { kind: "operator", tenant: "local" },
      root: { kind: "admin", tenant: "local" },
      acme: { kind: "tenant", tenant: "acme" },
      other: { kind: "tenant", tenant: "other" },
    });
    await door.world.sql`insert into bus_roles (service, role, shards) values ('orchestrator', 'answered', 1)`;
    await door.world.sql`insert into bus_lanes (service, role, shard) values ('orchestrator', 'answered', 0)`;
  });
  afterAll(() => door.close());

  /** Ends a message with the question. */
  async function asks(message: Claimed, expires_s = 60): Promise<void> {
    const outcome = { result: {}, wait: waitFor(asked, { answer }, { expires_s, assignment: null }) };
    await settleDone(door.world.settling, message, { outcome, staged: [], records: [] });
  }

  /** A trace of acme that waits for approval. */
  async function wait(expires_s = 60) {
    Accepted.parse(await (await post(`${door.url}/api/chat`, { message: "begin" }, headers.acme)).json());
    const message = await take(door.world, "chat.ask");
    await asks(message, expires_s);
    const { approvals } = ApprovalList.parse(await (await get(`?trace_id=${message.traceId}`)).json());
    return { traceId: message.traceId, id: approvals[0]?.id ?? "" };
  }
  const get = (path: string, by: Record<string, string> = headers.alice ?? {}) =>
    fetch(`${door.url}/api/approvals${path}`, { headers: by });
  const say = (id: string, body: unknown, by: Record<string, string> = headers.alice ?? {}) =>
    post(`${door.url}/api/approvals/${id}`, body, by);

  test("shows what is asked, takes the answer, and sends what waited on its way", async () => {
    const { traceId, id } = await wait();

    const view = ApprovalView.parse(await (await get(`/${id}`)).json());
    expect(view).toMatchObject({ id, tenant: "acme", trace_id: traceId, state: "waiting", asked, answered: null });
    expect(view.may_answer).toEqual({ kinds: ["operator", "admin"], names: null });

    const reply = await say(id, { decision: "approve", reason: "fine" });
    expect(reply.status).toBe(200);
    expect(ApprovalView.parse(await reply.json())).toMatchObject({
      state: "approved",
      answered: { by: "alice", decision: "approve", reason: "fine" },
    });
    const message = await take(door.world, "orchestrator.answered");
    expect(message).toMatchObject({
      traceId,
      tenant: "acme",
      payload: { ask: asked, after: { answer }, answered: { id, by: "alice", answer: { decision: "approve" } } },
    });
    const facts = await door.world.sql`
      select kind, tenant, details ->> 'by' as by, details ->> 'reason' as reason
      from bus_facts where trace_id = ${traceId} and kind like 'approval%' order by id`;
    expect(facts).toEqual([
      { kind: "approval_asked", tenant: "acme", by: null, reason: null },
      { kind: "approval_given", tenant: "acme", by: "alice", reason: "fine" },
    ]);
  });

  test("is reached by the client, function by function", async () => {
    const { traceId, id } = await wait();
    const client = openClient({ url: door.url, token: String(headers.alice?.authorization).slice("Bearer ".length) });

    expect((await client.approvals({ trace_id: traceId, state: "waiting" })).approvals).toMatchObject([{ id }]);
    expect(await client.approval(id)).toMatchObject({ id, state: "waiting" });
    expect(await client.answerApproval(id, { decision: "refuse", reason: "no" })).toMatchObject({ state: "refused" });
    await expect(client.answerApproval(id, { decision: "approve" })).rejects.toMatchObject({ code: "conflict" });
  });

  test("is answered once: the second is told by whom (409); too late is 410; nothing is 404", async () => {
    const { id } = await wait();
    expect((await say(id, { decision: "refuse", reason: "no" })).status).toBe(200);
    const second = await say(id, { decision: "approve" }, headers.bob);
    expect(second.status).toBe(409);
    expect(Problem.parse(await second.json())).toMatchObject({ code: "conflict", state: "refused" });

    const late = await wait(1);
    await door.world.moveClock(2);
    expect(ApprovalView.parse(await (await get(`/${late.id}`)).json()).state).toBe("expired"); // before anybody swept it
    const expired = await say(late.id, { decision: "approve" });
    expect([expired.status, Problem.parse(await expired.json()).code]).toEqual([410, "approval_expired"]);

    expect((await get("/999999999")).status).toBe(404);
    expect((await say("999999999", { decision: "approve" })).status).toBe(404);
  });

  test.each([
    [{ decision: "maybe" }, "/decision"],
    [{}, "/decision"],
    [{ decision: "refuse" }, "/reason"],
    [{ decision: "refuse", reason: "   " }, "/reason"],
    [{ decision: "approve", reason: "x".repeat(2001) }, "/reason"],
    [{ decision: "approve", because: "x" }, "/because"],
  ])("refuses %j, naming the field", async (body, path) => {
    const reply = await say("1", body);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ errors: [{ in: "body", path }] });
  });

  test("refuses ids and queries that are none", async () => {
    for (const path of ["/abc", "?state=lost", "?limit=0", "?before=x", "?tenant=No!", "?nope=1"]) {
      expect([path, (await get(path)).status]).toEqual([path, 400]);
    }
    expect((await say("abc", { decision: "approve" })).status).toBe(400);
  });

  test("is for operators: without a key 401, with a tenant's 403, in another tenant's name 404", async () => {
    const { id } = await wait();
    for (const [by, status] of [
      [{}, 401],
      [headers.acme, 403],
      [{ ...headers.alice, "x-tenant": "local" }, 404],
    ] as const) {
      expect((await get(`/${id}`, by)).status).toBe(status);
      expect((await say(id, { decision: "approve" }, by)).status).toBe(status);
    }
    expect((await get("", {})).status).toBe(401);
    expect((await get("", headers.acme)).status).toBe(403);
    expect((await get(`/${id}`, { ...headers.alice, "x-tenant": "acme" })).status).toBe(200);
  });

  test("is shown to a tenant where the operator allows it: its own, and it may not answer", async () => {
    const allow = ["tenant" as const, "operator" as const];
    const routes = Object.fromEntries(Object.entries(shipped.routes).map(([route]) => [route, { allow }]));
    const gateway = await gatewayOf(door.world, { approvals: () => policy, policies: () => ({ routes }) });
    const { id } = await wait();
    const own = { headers: headers.acme ?? {} };
    const other = { headers: headers.other ?? {} };

    expect((await fetch(`${gateway.url}/api/approvals/${id}`, own)).status).toBe(200);
    expect((await fetch(`${gateway.url}/api/approvals/${id}`, other)).status).toBe(404);
    const list = ApprovalList.parse(await (await fetch(`${gateway.url}/api/approvals`, other)).json());
    expect(list.approvals).toEqual([]);
    const said = await post(`${gateway.url}/api/approvals/${id}`, { decision: "approve" }, own.headers);
    expect(said.status).toBe(403);
    expect(ApprovalView.parse(await (await get(`/${id}`)).json()).state).toBe("waiting");
    await gateway.close();
  });

  test("ends a gate that waits for the verdict: 403 with the reason when it is refused", async () => {
    const body = { workspace: { "a.test.js": "1" } };
    const gate = post(`${door.url}/api/workflows/code-build-test?enforce=true`, body, headers.acme);
    await expect
      .poll(
        () => door.world.sql`select from bus_queue q join bus_messages m on m.id = q.message_id
                                           where m.role = 'ask'`,
      )
      .toHaveLength(1);
    await asks(await take(door.world, "chat.ask"));
    const [approval] = ApprovalList.parse(await (await get("?state=waiting&limit=1")).json()).approvals;
    await door.world.sql`delete from bus_ready`; // what other tests have answered
    await say(approval?.id ?? "", { decision: "refuse", reason: "not today" });
    const message = await take(door.world, "orchestrator.answered");
    const thrown = await answered
      .handle({ ...message, payload: AnsweredRequest.parse(message.payload) }, door.world.tools)
      .catch((error) => error);
    await settleFailed(door.world.settling, message, { thrown, staged: [], records: [] });

    const reply = await gate;
    expect(reply.status).toBe(403);
    expect(Problem.parse(await reply.json())).toMatchObject({
      code: "approval_refused",
      detail: expect.stringContaining("not today"),
      verdict: null,
    });
  });

  test("is answered by whom the policy names now, even when it was asked under another", async () => {
    const { id } = await wait();
    policy = ApprovalPolicy.parse({ default: { ...rule, kinds: ["operator"], names: ["bob"] }, overrides: [] });

    const refused = await say(id, { decision: "approve" });
    expect([refused.status, Problem.parse(await refused.json()).detail]).toEqual([
      403,
      expect.stringContaining("bob, not by alice"),
    ]);
    expect((await say(id, { decision: "approve" }, headers.root)).status).toBe(403);
    expect((await say(id, { decision: "approve" }, headers.bob)).status).toBe(200);
    policy = ApprovalPolicy.parse({ default: rule, overrides: [] });
  });

  test("lists the latest first, page by page, by state and by tenant", async () => {
    const first = await wait();
    const second = await wait();
    await say(second.id, { decision: "refuse", reason: "no" });
    const third = await wait();
    const list = async (query: string, by = headers.alice) => ApprovalList.parse(await (await get(query, by)).json());
    const ids = async (query: string) => (await list(query)).approvals.map(({ id }) => id);

    const page = await list("?limit=2");
    expect(page.approvals.map(({ id }) => id)).toEqual([third.id, second.id]);
    expect(page.next).toBe(second.id);
    expect((await ids(`?before=${page.next}&limit=1`))[0]).toBe(first.id);
    expect((await ids("?state=waiting")).slice(0, 2)).toEqual([third.id, first.id]);
    expect((await ids("?state=refused"))[0]).toBe(second.id);
    expect((await list(`?before=${(await ids("")).at(-1)}`)).next).toBe(null);
    expect((await ids("?tenant=acme"))[0]).toBe(third.id);
    expect(await ids("?tenant=local")).toEqual([]);
    expect((await list("", { ...headers.alice, "x-tenant": "local" })).approvals).toEqual([]);
  });

  test("a change that must be approved is read by operators only, until it is let go", async () => {
    Accepted.parse(await (await post(`${door.url}/api/chat`, { message: "write" }, headers.acme)).json());
    const message = await take(door.world, "chat.ask");
    const { traceId } = message;
    message.assignment = {
      agent_id: "steady",
      agent_version: "1",
      canary: false,
      model: null,
      budget: { max_cost_usd: null, max_tokens: null },
      ttl_ms: null,
      approval: { patch: true, expires_s: 60 },
    };
    const files = [
      { kind: "codegen" as const, name: "diff.patch", schema: "text", contentType: "text/plain", content: "+ secret" },
      { kind: "build-test" as const, name: "test.log", schema: "text", contentType: "text/plain", content: "ok" },
    ];
    const token = message.token;
    const staged = await Promise.all(
      files.map((file) => stage(door.world.dir, file, { message, token, at: door.world.now })),
    );
    const outcome = { result: {}, answer };
    await settleDone(door.world.settling, message, { outcome, staged, records: [] });

    const read = (path: string, by = headers.acme ?? {}) =>
      fetch(`${door.url}/artifacts/${traceId}/${path}`, { headers: by });
    const index = async (by = headers.acme ?? {}) =>
      ArtifactList.parse(
        await (await fetch(`${door.url}/api/artifacts/index?trace_id=${traceId}`, { headers: by })).json(),
      ).artifacts.map(({ path }) => path.slice(traceId.length + 1));
    const operator = { ...headers.alice, "x-tenant": "acme" };

    expect((await read("codegen/diff.patch")).status).toBe(403);
    expect((await read("codegen/diff.patch.meta.json")).status).toBe(403);
    expect((await read("build-test/test.log")).status).toBe(200);
    expect(await index()).toEqual(["build-test/test.log"]);
    expect(await (await read("codegen/diff.patch", operator)).text()).toBe("+ secret");
    expect(await index(operator)).toHaveLength(2);

    await releaseArtifacts(door.world.sql, traceId);
    expect((await read("codegen/diff.patch")).status).toBe(200);
    expect(await index()).toHaveLength(2);
  });
});
