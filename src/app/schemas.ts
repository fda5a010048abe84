import { z } from "zod";
import { ApprovalPolicy, ApprovalRecord } from "../contracts/approval.ts";
import { ArtifactMeta } from "../contracts/artifact.ts";
import { ChatRequest, WorkflowRequest } from "../contracts/chat.ts";
import { OrchestratorPolicy } from "../contracts/choice.ts";
import { BuildTestReport, BuildTestSummary, CodegenMetrics, EditSet } from "../contracts/code.ts";
import { Decision } from "../contracts/decision.ts";
import { EventView, Problem, TraceAnswer } from "../contracts/http.ts";
import { IndexArtifact, IndexRequest, QueryArtifact } from "../contracts/knowledge.ts";
import { SandboxLimits } from "../contracts/limits.ts";
import { BusMessage } from "../contracts/message.ts";
import { Summary } from "../contracts/metrics.ts";
import { AgentAnswer, AgentAsk, AgentProgress } from "../contracts/outside.ts";
import {
  BusPolicy,
  CircuitPolicy,
  LimitsPolicy,
  OutboundPolicy,
  PricePolicy,
  RetryPolicy,
  RoutePolicies,
} from "../contracts/policy.ts";
import { SandboxError } from "../contracts/violation.ts";

/** Every document that leaves the system or is edited by hand, under the name of its file in `schemas/`. */
const shapes: Record<string, z.ZodType> = {
  "agent.ask": AgentAsk,
  "agent.answer": AgentAnswer,
  "agent.progress": AgentProgress,
  "artifact.meta": ArtifactMeta,
  "build-test.report": BuildTestReport,
  "build-test.summary": BuildTestSummary,
  "codegen.edits": EditSet,
  "codegen.metrics": CodegenMetrics,
  "approval.record": ApprovalRecord,
  "rag.index": IndexArtifact,
  "rag.query": QueryArtifact,
  "sandbox.error": SandboxError,
  "http.chat": ChatRequest,
  "http.code-build-test": WorkflowRequest,
  "http.index": IndexRequest,
  "http.problem": Problem,
  "http.summary": Summary,
  "http.trace": TraceAnswer,
  "bus.message": BusMessage,
  "bus.event": EventView,
  "event.decision": Decision,
  "config.approvals": ApprovalPolicy,
  "config.orchestrator": OrchestratorPolicy,
  "config.bus": BusPolicy,
  "config.circuit_breaker": CircuitPolicy,
  "config.limits": LimitsPolicy,
  "config.outbound": OutboundPolicy,
  "config.prices": PricePolicy,
  "config.retry_policy": RetryPolicy,
  "config.route_policies": RoutePolicies,
  "config.sandbox_limits": SandboxLimits,
};

/** File name to text of every schema, JSON Schema 2020-12, as the writer of such a document must meet it. */
export function schemas(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const schema = z.toJSONSchema(shape, { io: "input", unrepresentable: "any" });
      return [`${name}.json`, `${JSON.stringify({ title: name, ...schema }, null, 2)}\n`];
    }),
  );
}
