import { askThrough, must, type Stage, type Story } from "../story.ts";
import { slugify } from "./generate.ts";

/** Free text, with files and without, finds its way by itself. */
export const freeText: Story = {
  name: "free text finds its way",
  needsSandbox: true,
  async walk(stage) {
    const { intent: _, message, workspace } = slugify;
    const traces = [
      await goes(stage, "code.buildtest", { message: "does this pass its tests?", workspace: { "a.test.js": green } }),
      await goes(stage, "code.generate", { message: `Can you please ${message.replace("Write", "write")}`, workspace }),
      await goes(stage, "rag.answer", { message: "How do I write a plugin?", collection: "nowhere" }),
    ];
    const { trace } = await askThrough(stage, { message: "please run the tests" });
    must(trace.failure?.code === "nothing_to_test", "to test nothing is refused");
    must(trace.failure.message.includes("dagent run FOLDER"), "and it says how to bring something");
    return { saw: "built and tested, written, looked up, refused", traces: [...traces, trace.trace_id] };
  },
};

type Free = { message: string; workspace?: Record<string, string>; collection?: string };

/** Asks in free text, sees that it was taken for this, and that it ended well. */
async function goes(stage: Stage, wanted: string, request: Free): Promise<string> {
  const { trace, events } = await askThrough(stage, request);
  const found = events.find(({ kind }) => kind === "gateway_intent")?.details.intent;
  must(found === wanted, `"${request.message}" is ${wanted}, not ${String(found)}`);
  must(trace.status === "done" && trace.answer?.verdict !== "fail", `it ends well: ${trace.failure?.message}`);
  return trace.trace_id;
}

const green = `require("node:test").test("adds", () => require("node:assert").strictEqual(1 + 1, 2));\n`;
