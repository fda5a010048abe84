import { z } from "zod";
import type { Handler } from "../../bus/handler.ts";
import { ChatRequest } from "../../contracts/chat.ts";
import { Failure } from "../../contracts/failure.ts";
import { Intent } from "../../contracts/message.ts";
import type { Work } from "../../contracts/work.ts";
import { intentOf } from "../../rules/intent.ts";

/** What the request wants, and how that is known. */
const Asked = z.object({ intent: Intent, because: z.string() });

/**
 * Takes a request from the door and sends it down its way.
 *
 * in     ChatRequest
 * out    the intent, and how it is known; kept as `gateway_intent`
 * next   rag.query for a question or a wish for code (its grounding), orchestrator.decide for a build and test
 * fails  nothing_to_test: the words ask for a build and test, and no files came with them. ChatRequest refuses what
 *        contradicts itself at the door
 */
export const ask: Handler<ChatRequest, z.infer<typeof Asked>> = {
  role: "chat.ask",
  accepts: ChatRequest,
  answers: Asked,

  async handle({ payload }, { record }) {
    const { message, workspace, collection, k } = payload;
    const files = Object.keys(workspace).length + (payload.upload ? 1 : 0);
    const { intent, because } =
      payload.intent === "chat" ? intentOf(message, files) : { intent: payload.intent, because: "the request says so" };
    const result = { intent, because };
    record("gateway_intent", result);

    if (intent === "code.buildtest" && files === 0) {
      throw new Failure(
        "nothing_to_test",
        "there are no files to build and test: send them in `workspace` or as an `upload` (at the command line: `dagent chat -d FOLDER …`, or `dagent run FOLDER`)",
      );
    }
    if (intent === "code.buildtest") {
      const work = workOf(payload);
      return { result, next: [{ to: "orchestrator.decide", intent, payload: { role: "executor.execute", work } }] };
    }
    const work = intent === "code.generate" ? workOf(payload) : null;
    return {
      result,
      next: [{ to: "rag.query", intent, payload: { query: message, collection, mode: "auto", k, work } }],
    };
  },
};

function workOf(request: ChatRequest): Work {
  const { message, limits, upload, patch, workspace, language, build, test, max_rounds, conversation, capabilities } =
    request;
  const work = {
    prompt: message,
    workspace,
    language,
    build,
    test,
    max_rounds,
    grounding: [],
    conversation,
    capabilities,
  };
  return { ...work, ...(upload && { upload }), ...(patch && { patch }), ...(limits && { limits }) };
}
