import { z } from "zod";
import { ChatRequest, WorkflowRequest } from "../../contracts/chat.ts";
import { BuildTestReport, GateView } from "../../contracts/code.ts";
import { Failure, type FailureCode, failures } from "../../contracts/failure.ts";
import { artifactAt, artifactBytes } from "../../store/artifacts.ts";
import type { Trace } from "../../store/traces.ts";
import { admit, letIn } from "../admit.ts";
import { admission, type Routes, type RouteTools } from "../route.ts";
import { untilEnd } from "../wait.ts";

/**
 * `POST /api/workflows/code-build-test`: builds and tests a project. With `?enforce=true` it is a gate: it waits for the
 * verdict and answers 200 when all is green, 422 with the failing tests when it is not.
 */
export const workflowRoutes: Routes = (app, tools) => {
  app.route({
    method: "POST",
    url: "/api/workflows/code-build-test",
    schema: {
      operationId: "codeBuildTest",
      summary: "Build and test a project; with enforce=true, wait and answer 200 or 422",
      querystring: z.strictObject({ enforce: z.enum(["true", "false"]).default("false") }),
      body: WorkflowRequest,
      ...admission,
      response: {
        ...admission.response,
        200: { description: "All is green", content: { "application/json": { schema: GateView } } },
      },
    },
    async handler(request, reply) {
      const payload = ChatRequest.parse({ intent: "code.buildtest", ...request.body });
      const wish = { to: "chat.ask", intent: payload.intent, payload };
      if (request.query.enforce === "false") return admit({ request, reply }, wish, tools);
      const { tenant } = request.identity;
      const { traceId, fresh } = await letIn({ request, reply }, wish, tools);
      const { feed } = tools;
      const trace = await untilEnd(
        { request, feed },
        { traceId, tenant },
        { withinMs: Number.POSITIVE_INFINITY, fresh },
      );
      return reply.header("cache-control", "no-store").send(await verdictOf(trace, tools));
    },
  });
};

/** The verdict of a trace that has ended. Throws `tests_failed` when it is red, or the failure the trace ended with. */
async function verdictOf(trace: Trace | null, { sql, artifactsBase }: RouteTools): Promise<GateView> {
  const { trace_id: traceId = "", tenant = "" } = trace ?? {};
  const links = { trace: `/api/traces/${traceId}`, artifacts: `/api/artifacts/index?trace_id=${traceId}` };
  if (!trace?.answer) {
    const { code = "internal", message = "the stream of the trace broke off", details = {} } = trace?.failure ?? {};
    throw new Failure(isCode(code) ? code : "internal", message, { ...details, verdict: null, links });
  }
  const { tests, failing } = await reportOf(`${traceId}/build-test/report.json`, tenant, { sql, artifactsBase });
  const { verdict, text } = trace.answer;
  if (verdict === "pass") return { trace_id: traceId, verdict, text, tests, failing };
  throw new Failure("tests_failed", text, { verdict, tests, failing, links });
}

async function reportOf(
  path: string,
  tenant: string,
  { sql, artifactsBase }: Pick<RouteTools, "sql" | "artifactsBase">,
) {
  if (!(await artifactAt(sql, path, tenant))) return { tests: null, failing: [] };
  return BuildTestReport.parse(JSON.parse((await artifactBytes(artifactsBase, path)).toString("utf8")));
}

function isCode(code: string): code is FailureCode {
  return Object.hasOwn(failures, code);
}
