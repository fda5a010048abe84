import type { FastifyRequest } from "fastify";
import {
  ApprovalAnswer,
  ApprovalList,
  ApprovalParams,
  ApprovalsQuery,
  ApprovalView,
} from "../../contracts/approval.ts";
import { type Approver, answerApproval, approvalOf, listApprovals } from "../../ops/approvals.ts";
import { problems, type Routes } from "../route.ts";

/** `/api/approvals`: what waits for a person, and the answers. An answer is an event in the transaction that takes it. */
export const approvalRoutes: Routes = (app, { sql, approvals }) => {
  const inForce = () => ({ sql, policy: approvals() });

  app.route({
    method: "GET",
    url: "/api/approvals",
    schema: {
      operationId: "approvals",
      summary: "What waits for approval, or did, of every tenant within reach; the latest first",
      querystring: ApprovalsQuery,
      response: { 200: ApprovalList, ...problems },
    },
    handler: ({ query, identity }): Promise<ApprovalList> => {
      const { tenant = null, trace_id: traceId = null, state = null, before = null, limit } = query;
      return listApprovals(inForce(), { reach: reachOf(identity), tenant, traceId, state, before, limit });
    },
  });

  app.route({
    method: "GET",
    url: "/api/approvals/:id",
    schema: {
      operationId: "approval",
      summary: "What is asked: the request, the agent and why it, sizes, the estimated cost, or the change to hand out",
      params: ApprovalParams,
      response: { 200: ApprovalView, ...problems },
    },
    handler: ({ params: { id }, identity }): Promise<ApprovalView> => approvalOf(inForce(), id, approverOf(identity)),
  });

  app.route({
    method: "POST",
    url: "/api/approvals/:id",
    schema: {
      operationId: "answerApproval",
      summary: "Approve or refuse: 409 when it was answered before, 410 when it has expired",
      params: ApprovalParams,
      body: ApprovalAnswer,
      response: { 200: ApprovalView, ...problems },
    },
    handler: ({ params: { id }, body, identity }): Promise<ApprovalView> =>
      answerApproval(inForce(), id, { by: approverOf(identity), answer: body }),
  });
};

function approverOf(identity: FastifyRequest["identity"]): Approver {
  return { name: identity.name, kinds: identity.kinds, reach: reachOf(identity) };
}

/** Operators and admins reach all tenants, or the one they name in `x-tenant`; anybody else his own. */
function reachOf({ kinds, tenant, named }: FastifyRequest["identity"]): string | null {
  const all = kinds.some((kind) => kind === "operator" || kind === "admin");
  return all && !named ? null : tenant;
}
