import { countOf, endOf, must, type Story } from "../story.ts";

/** The same request ten times at once under one key: one effect, one answer. Another request under it is refused. */
export const twice: Story = {
  name: "asked twice is asked once",
  needsSandbox: true,
  async walk({ client }) {
    const request = { intent: "code.buildtest" as const, workspace: { "a.test.js": test }, test: "node --test" };
    const idempotencyKey = `twice-${crypto.randomUUID()}`;

    const accepted = await Promise.all(Array.from({ length: 10 }, () => client.chat(request, { idempotencyKey })));
    const [trace_id, ...others] = new Set(accepted.map((one) => one.trace_id));
    must(trace_id !== undefined && others.length === 0, "all ten have one trace");
    const first = await endOf(client, trace_id);
    const again = await client.chat(request, { idempotencyKey });
    const second = await client.trace(again.trace_id);

    must(countOf(second, "buildtest_done") === 1, "it was carried out once");
    must(JSON.stringify(second.trace.answer) === JSON.stringify(first.trace.answer), "the answer is the same");
    const refused = await client.chat({ ...request, test: "true" }, { idempotencyKey }).catch((error) => error.code);
    must(refused === "idempotency_conflict", "another request under the key is refused");
    return { saw: "11 requests, one trace, one effect", traces: [trace_id] };
  },
};

const test = `require("node:test").test("adds", () => require("node:assert").strictEqual(1 + 1, 2));\n`;
