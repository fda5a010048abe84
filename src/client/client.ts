import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { type ApprovalAnswer, ApprovalList, type ApprovalsQuery, ApprovalView } from "../contracts/approval.ts";
import type { ChatRequest, WorkflowRequest } from "../contracts/chat.ts";
import { GateView } from "../contracts/code.ts";
import { Failure } from "../contracts/failure.ts";
import {
  Accepted,
  ArtifactList,
  type ArtifactsQuery,
  BudgetList,
  Cancelled,
  CircuitList,
  Ended,
  Health,
  KeyCreated,
  KeyList,
  type KeyRequest,
  KeyView,
  TraceAnswer,
  TraceList,
  type TracesQuery,
} from "../contracts/http.ts";
import type { IndexRequest } from "../contracts/knowledge.ts";
import { Summary } from "../contracts/metrics.ts";
import {
  DecisionList,
  type DecisionsQuery,
  DecisionView,
  DryRun,
  type DryRunRequest,
  type OrchestratorQuery,
  OrchestratorSummary,
  WhatIf,
  type WhatIfRequest,
} from "../contracts/orchestrator.ts";
import { type AgentProgress, type CallbackAnswer, CallbackTaken, CallbackTold } from "../contracts/outside.ts";
import {
  AgentList,
  type AgentPatch,
  type AgentPut,
  type AgentRequest,
  type AgentsQuery,
  AgentView,
  type PromoteRequest,
} from "../contracts/registry.ts";
import { UploadView } from "../contracts/upload.ts";
import { type FollowOptions, follow, type News } from "./follow.ts";
import { ask, type Call, type Door, read } from "./request.ts";
import { packed, type TarFile, tarOf } from "./tar.ts";

/** One request lasts no longer than proxies let one last; then it is sent again, which changes nothing. */
const prefer = "wait=50";
const patience = 10; // requests in a row that nobody answers
const againMs = 1000; // before one is sent again

/** How a request is sent: its key, its place in the caller's own trace, and when to give up. */
export type Sending = { idempotencyKey?: string; traceparent?: string; signal?: AbortSignal };

/** The bytes of a kept file. */
export type File = { content: Uint8Array; contentType: string; sha256: string };

/**
 * The gateway as seen from outside, one function a route. Each throws a Failure with the code of the gateway's problem,
 * or `gateway_unreachable` when there was no answer.
 */
export type Client = {
  chat(request: z.input<typeof ChatRequest>, sending?: Sending): Promise<Accepted>;
  /**
   * The same, and waits for the end; a connection that breaks is taken up again under the same key. A failure of the trace
   * is part of what is answered. Throws the signal's reason when that fires.
   */
  ask(request: z.input<typeof ChatRequest>, sending?: Sending): Promise<Ended>;
  /** Uploads a project, piece by piece. What it answers is named in `upload` of a request. */
  upload(files: AsyncIterable<TarFile>): Promise<UploadView>;
  /** The same of a git bundle: the files of its HEAD. */
  uploadBundle(bytes: AsyncIterable<Uint8Array>): Promise<UploadView>;
  buildTest(request: z.input<typeof WorkflowRequest>, sending?: Sending): Promise<Accepted>;
  /** Builds, tests and waits. Throws `tests_failed` with the failing tests in its details when it is red. */
  gate(request: z.input<typeof WorkflowRequest>, sending?: Sending): Promise<GateView>;
  index(request: z.input<typeof IndexRequest>, sending?: Sending): Promise<Accepted>;
  trace(traceId: string): Promise<TraceAnswer>;
  traces(query?: TracesQuery): Promise<TraceList>;
  /** What is spent, put aside and allowed: the tenant's own, or of all for an operator who names none. */
  budgets(): Promise<BudgetList>;
  /** The circuits that are not closed. */
  circuits(): Promise<CircuitList>;
  /** Opens or closes the circuit of `service.role.shard` by hand. */
  setCircuit(key: string, verb: "open" | "close", reason: string): Promise<CircuitList>;
  /** Calls a trace off; `cancelled` false: it had ended before. */
  cancel(traceId: string): Promise<Cancelled>;
  /** A trace as it happens, to its end. A connection that breaks is taken up again where it broke. */
  follow(traceId: string, options?: FollowOptions): AsyncGenerator<News, void>;
  /** What waits for a person's approval, or did; the latest first. */
  approvals(query?: ApprovalsQuery): Promise<ApprovalList>;
  answerCallback(id: string, token: string, body: CallbackAnswer): Promise<CallbackTaken>;
  /** Tells how far an agent is that will answer later, at most once a second; more is not told. */
  tellCallback(id: string, token: string, body: AgentProgress): Promise<CallbackTold>;
  approval(id: string): Promise<ApprovalView>;
  /** Throws `conflict` when it was answered before, `approval_expired` when it is too late. */
  answerApproval(id: string, answer: z.input<typeof ApprovalAnswer>): Promise<ApprovalView>;
  artifacts(query?: ArtifactsQuery): Promise<ArtifactList>;
  artifact(path: string): Promise<File>;
  summary(): Promise<Summary>;
  health(): Promise<Health>;
  openapi(): Promise<Record<string, unknown>>;
  createKey(request: KeyRequest): Promise<KeyCreated>;
  keys(): Promise<KeyList>;
  revokeKey(id: string): Promise<KeyView>;
  orchestratorSummary(query?: OrchestratorQuery): Promise<OrchestratorSummary>;
  decisions(query?: DecisionsQuery): Promise<DecisionList>;
  decision(id: string): Promise<DecisionView>;
  /** Whom the orchestrator would choose now. */
  dryRun(request: z.input<typeof DryRunRequest>): Promise<DryRun>;
  whatIf(request: z.input<typeof WhatIfRequest>): Promise<WhatIf>;
  agents(query?: AgentsQuery): Promise<AgentList>;
  addAgent(request: z.input<typeof AgentRequest>): Promise<AgentView>;
  putAgent(id: string, request: z.input<typeof AgentPut>): Promise<AgentView>;
  changeAgent(id: string, patch: z.input<typeof AgentPatch>): Promise<AgentView>;
  /** `version` may be left out while there is one. */
  removeAgent(id: string, version?: string): Promise<void>;
  promoteAgent(id: string, request?: z.input<typeof PromoteRequest>): Promise<AgentView>;
  heartbeat(id: string, version?: string): Promise<void>;
};

/**
 * Opens the door at `url`. `token` is a key (`dag_…`), `adminToken` the ADMIN_TOKEN, `tenant` whose data an operator or
 * admin means. Nothing is sent before the first call.
 */
export function openClient(door: Door): Client {
  async function json<Shape extends z.ZodType>(shape: Shape, call: Call): Promise<z.output<Shape>> {
    return read(await ask(door, call), shape);
  }

  return {
    chat: (body, sending) => json(Accepted, { method: "POST", path: "/api/chat", body, ...sent(sending) }),
    async ask(body, { idempotencyKey = randomUUID(), ...sending } = {}) {
      const { headers, ...rest } = sent({ ...sending, idempotencyKey });
      const call: Call = { method: "POST", path: "/api/chat", body, ...rest, headers: { ...headers, prefer } };
      for (let vain = 0; ; vain += 1) {
        try {
          const ended = await json(z.union([Ended, Accepted]), call);
          if ("answer" in ended) return ended;
          vain = 0; // it lives, and takes its time
        } catch (error) {
          sending.signal?.throwIfAborted();
          if (!(error instanceof Failure && error.code === "gateway_unreachable") || vain === patience) throw error;
        }
        // A proxy may not pass the preference on, and a gateway that closes does not wait.
        await pause(againMs, undefined, sending.signal && { signal: sending.signal });
      }
    },
    upload: (files) =>
      json(UploadView, {
        method: "POST",
        path: "/api/workspaces",
        stream: packed(tarOf(files)),
        headers: { "content-type": "application/x-tar" },
      }),
    uploadBundle: (stream) =>
      json(UploadView, {
        method: "POST",
        path: "/api/workspaces",
        stream,
        headers: { "content-type": "application/x-git-bundle" },
      }),
    buildTest: (body, sending) =>
      json(Accepted, { method: "POST", path: "/api/workflows/code-build-test", body, ...sent(sending) }),
    gate: (body, sending) =>
      json(GateView, { method: "POST", path: "/api/workflows/code-build-test?enforce=true", body, ...sent(sending) }),
    index: (body, sending) => json(Accepted, { method: "POST", path: "/api/rag/index", body, ...sent(sending) }),
    trace: (traceId) => json(TraceAnswer, { path: `/api/traces/${encodeURIComponent(traceId)}` }),
    traces: (query = {}) => json(TraceList, { path: `/api/traces${queryOf(query)}` }),
    cancel: (traceId) =>
      json(Cancelled, { method: "POST", path: `/api/traces/${encodeURIComponent(traceId)}/cancel`, body: {} }),
    follow: (traceId, options = {}) => follow(door, traceId, options),
    artifacts: (query = {}) => json(ArtifactList, { path: `/api/artifacts/index${queryOf(query)}` }),
    async artifact(path) {
      const answer = await ask(door, { path: `/artifacts/${path.split("/").map(encodeURIComponent).join("/")}` });
      return {
        content: new Uint8Array(await answer.arrayBuffer()),
        contentType: answer.headers.get("content-type") ?? "application/octet-stream",
        sha256: (answer.headers.get("etag") ?? "").replaceAll('"', ""),
      };
    },
    summary: () => json(Summary, { path: "/api/metrics/summary" }),
    budgets: () => json(BudgetList, { path: "/api/budgets" }),
    circuits: () => json(CircuitList, { path: "/api/circuits" }),
    setCircuit: (key, verb, reason) =>
      json(CircuitList, { method: "POST", path: `/api/circuits/${encodeURIComponent(key)}/${verb}`, body: { reason } }),
    answerCallback: (id, token, body) => json(CallbackTaken, callback(id, token, body)),
    tellCallback: (id, token, body) => json(CallbackTold, callback(id, token, body)),
    approvals: (query = {}) => json(ApprovalList, { path: `/api/approvals${queryOf(query)}` }),
    approval: (id) => json(ApprovalView, { path: `/api/approvals/${encodeURIComponent(id)}` }),
    answerApproval: (id, body) =>
      json(ApprovalView, { method: "POST", path: `/api/approvals/${encodeURIComponent(id)}`, body }),
    health: () => json(Health, { path: "/health" }),
    openapi: () => json(z.record(z.string(), z.unknown()), { path: "/openapi.json" }),
    createKey: (body) => json(KeyCreated, { method: "POST", path: "/api/keys", body }),
    keys: () => json(KeyList, { path: "/api/keys" }),
    revokeKey: (id) => json(KeyView, { method: "DELETE", path: `/api/keys/${encodeURIComponent(id)}` }),
    orchestratorSummary: (query = {}) =>
      json(OrchestratorSummary, { path: `/api/metrics/orchestrator/summary${queryOf(query)}` }),
    decisions: (query = {}) => json(DecisionList, { path: `/api/orchestrator/decisions${queryOf(query)}` }),
    dryRun: (body) => json(DryRun, { method: "POST", path: "/api/orchestrator/decide", body }),
    whatIf: (body) => json(WhatIf, { method: "POST", path: "/api/orchestrator/what-if", body }),
    decision: (id) => json(DecisionView, { path: `/api/orchestrator/decisions/${encodeURIComponent(id)}` }),
    agents: (query = {}) => json(AgentList, { path: `/api/agents${queryOf(query)}` }),
    addAgent: (body) => json(AgentView, { method: "POST", path: "/api/agents", body }),
    putAgent: (id, body) => json(AgentView, { method: "PUT", path: agentPath(id), body }),
    changeAgent: (id, body) => json(AgentView, { method: "PATCH", path: agentPath(id), body }),
    async removeAgent(id, version) {
      await ask(door, { method: "DELETE", path: `${agentPath(id)}${queryOf({ version })}` });
    },
    promoteAgent: (id, body = {}) => json(AgentView, { method: "POST", path: `${agentPath(id)}/promote`, body }),
    async heartbeat(id, version) {
      await ask(door, { method: "POST", path: `${agentPath(id)}/heartbeat`, body: version ? { version } : {} });
    },
  };
}

function agentPath(id: string): string {
  return `/api/agents/${encodeURIComponent(id)}`;
}

/** A post to a callback, which its token alone opens. */
function callback(id: string, token: string, body: unknown): Call {
  const headers = { authorization: `Bearer ${token}` };
  return { method: "POST", path: `/api/callbacks/${encodeURIComponent(id)}`, headers, body };
}

function sent({ idempotencyKey, traceparent, signal }: Sending = {}): Pick<Call, "headers" | "signal"> {
  const headers: Record<string, string> = {};
  if (idempotencyKey !== undefined) headers["idempotency-key"] = idempotencyKey;
  if (traceparent !== undefined) headers.traceparent = traceparent;
  return { headers, ...(signal && { signal }) };
}

function queryOf(query: Record<string, unknown>): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value));
  return given.size === 0 ? "" : `?${given}`;
}
