import { describe, expect, it } from "vitest";
import { kindsOf, kindsText } from "../../src/store/kinds.ts";
import type { Draft } from "../../src/store/messages.ts";

const draft = (own: Partial<Draft> = {}): Draft => ({
  service: "chat",
  role: "ask",
  shard: 0,
  tenant: "local",
  intent: "chat",
  traceId: "0190f5a0-0000-7000-8000-000000000000",
  rootId: null,
  parentId: null,
  joinId: null,
  idempotencyKey: "key",
  priority: 5,
  orderKey: null,
  ttlMs: null,
  expiresAt: null,
  delayMs: 0,
  traceparent: null,
  assignment: null,
  payload: {},
  ...own,
});

const differing: Partial<Draft>[] = [
  { service: "rag" },
  { role: "query" },
  { shard: 1 },
  { tenant: "acme" },
  { intent: "code.generate" },
  { joinId: "7" },
  { priority: 9 },
  { orderKey: "a" },
  { ttlMs: 1000 },
  { expiresAt: new Date(0) },
  { delayMs: 1 },
  { traceparent: "00-0190f5a000007000800000000000000a-0000000000000001-01" },
  { assignment: { agent_id: "a", agent_version: "1", canary: false, model: null } as never },
];

describe("kinds of drafts", () => {
  it("are one for drafts that differ in their trace, key and payload only", () => {
    const { firsts, kindOf } = kindsOf([draft(), draft({ idempotencyKey: "other", traceId: "t", payload: 1 })]);
    expect(firsts).toHaveLength(1);
    expect(kindOf).toEqual([0, 0]);
  });

  it.each(differing)("are two when drafts differ in %o", (own) => {
    expect(kindsOf([draft(), draft(own), draft()]).kindOf).toEqual([0, 1, 0]);
  });

  it("know an assignment by what it says, and a deadline by its time", () => {
    const like = () => draft({ expiresAt: new Date(5), assignment: { agent_id: "a" } as never });
    expect(kindsOf([like(), like()]).kindOf).toEqual([0, 0]);
  });

  it("know the deadline of a draft that was kept as JSON", () => {
    const kept = () => JSON.parse(JSON.stringify(draft({ expiresAt: new Date(5) })));
    expect(kindsOf([kept(), kept(), draft({ expiresAt: new Date(5) })]).kindOf).toEqual([0, 0, 0]);
  });

  it("that wait in one place have one flow, whatever else they are", () => {
    const kinds = kindsOf([draft(), draft({ tenant: "acme" }), draft({ ttlMs: 5 }), draft({ priority: 9 })]);
    expect(JSON.parse(kindsText(kinds)).map(({ flow }: { flow: number }) => flow)).toEqual([0, 1, 0, 3]);
  });
});
