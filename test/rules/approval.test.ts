import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ApprovalAnswer, ApprovalPolicy } from "../../src/contracts/approval.ts";
import {
  approvalRuleFor,
  asksBefore,
  barredFrom,
  nobodyIsAsked,
  requestShown,
  touchedBy,
  workspaceSize,
} from "../../src/rules/approval.ts";

const base = { ask: "never", expires_s: 60, kinds: ["operator", "admin"], names: null };
const policy = (overrides: unknown[]) => ApprovalPolicy.parse({ default: base, overrides });

describe("the approval policy", () => {
  test("as it is shipped asks nobody", () => {
    const shipped = ApprovalPolicy.parse(JSON.parse(readFileSync("configs/approvals.json", "utf8")));
    const rule = approvalRuleFor(shipped, { tenant: "acme", intent: "code.generate" });
    expect([asksBefore(rule, "execution"), asksBefore(rule, "patch")]).toEqual([false, false]);
    expect(shipped).toMatchObject(nobodyIsAsked);
  });

  test("differs by intent, then by tenant, then by both, whatever the order in the file", () => {
    const overrides = [
      { tenant: "acme", intent: "code.generate", names: ["alice"] },
      { tenant: "acme", ask: "always" },
      { intent: "code.generate", ask: "before_patch", expires_s: 5 },
    ];
    const rule = (tenant: string, intent: string) => approvalRuleFor(policy(overrides), { tenant, intent });

    expect(rule("acme", "code.generate")).toEqual({ ...base, ask: "always", expires_s: 5, names: ["alice"] });
    expect(rule("acme", "code.buildtest")).toEqual({ ...base, ask: "always" });
    expect(rule("other", "code.generate")).toEqual({ ...base, ask: "before_patch", expires_s: 5 });
    expect(rule("other", "code.buildtest")).toEqual(base);
  });

  test("does not depend on the order of its overrides, nor on those of others", () => {
    const names = ["acme", "other", undefined];
    const one = fc.record({
      tenant: fc.constantFrom(...names),
      intent: fc.constantFrom("code.buildtest" as const, "code.generate" as const, undefined),
      expires_s: fc.integer({ min: 1, max: 100 }),
    });
    const distinct = fc.uniqueArray(one, { selector: ({ tenant, intent }) => `${tenant} ${intent}` });
    fc.assert(
      fc.property(
        distinct.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([list, shuffled]) => {
          const named = (all: typeof list) => policy(all.filter(({ tenant, intent }) => tenant ?? intent));
          const whose = { tenant: "acme", intent: "code.generate" };
          const rule = approvalRuleFor(named(list), whose);
          const own = list.filter(({ tenant }) => tenant !== "other");
          expect(approvalRuleFor(named(shuffled), whose)).toEqual(rule);
          expect(approvalRuleFor(named(own), whose)).toEqual(rule);
        },
      ),
    );
  });

  test.each([
    ["never", [false, false]],
    ["before_execution", [true, false]],
    ["before_patch", [false, true]],
    ["always", [true, true]],
  ] as const)("%s asks at its moments", (ask, moments) => {
    const { default: rule } = ApprovalPolicy.parse({ default: { ...base, ask }, overrides: [] });
    expect([asksBefore(rule, "execution"), asksBefore(rule, "patch")]).toEqual(moments);
  });

  test.each([
    [{ ask: "always" }, "names a tenant, an intent or both"],
    [{ intent: "rag.answer", ask: "always" }, "code.buildtest"],
    [{ intent: "code.buildtest", ask: "before_patch" }, "makes no patch"],
    [{ tenant: "acme", expires_s: 0 }, "expires_s"],
    [{ tenant: "acme", expires_s: 604_800 }, "expires_s"],
    [{ tenant: "acme", names: [] }, "names"],
    [{ tenant: "acme", aks: "always" }, "aks"],
  ])("refuses %j", (override, said) => {
    const parsed = ApprovalPolicy.safeParse({ default: base, overrides: [override] });
    expect(parsed.success).toBe(false);
    expect(JSON.stringify(parsed.error?.issues)).toContain(said);
  });

  test("says who may not answer, and why", () => {
    const rule = { kinds: ["operator" as const], names: ["alice"] };
    expect(barredFrom(rule, { kinds: ["operator"], name: "alice" })).toBe(null);
    expect(barredFrom(rule, { kinds: ["operator"], name: "bob" })).toContain("alice, not by bob");
    expect(barredFrom(rule, { kinds: ["admin"], name: "alice" })).toContain("operator keys");
    expect(barredFrom({ ...rule, names: null }, { kinds: ["admin", "operator"], name: "bob" })).toBe(null);
  });
});

test("a refusal needs a reason, an approval does not", () => {
  expect(ApprovalAnswer.parse({ decision: "approve" })).toEqual({ decision: "approve", reason: "" });
  for (const reason of [undefined, "", "  "]) {
    expect(ApprovalAnswer.safeParse({ decision: "refuse", reason }).success).toBe(false);
  }
});

describe("what is shown", () => {
  test("of a change: each file, and its lines that come and go", () => {
    const before = { "a.js": "one\ntwo\n-- three\n", "gone.js": "x\n", "same.js": "y\n" };
    const after = { "a.js": "one\n2\n", "new.js": "++ n\nm\n", "same.js": "y\n" };
    expect(touchedBy(before, after)).toEqual([
      { path: "a.js", added: 1, removed: 2 },
      { path: "gone.js", added: 0, removed: 1 },
      { path: "new.js", added: 2, removed: 0 },
    ]);
  });

  test("of a workspace: files over an upload count once", () => {
    const uploaded = new Map([
      ["a.js", 100],
      ["b.js", 5],
    ]);
    expect(workspaceSize({ workspace: { "a.js": "né" }, patch: "p" }, uploaded)).toEqual({
      files: 2,
      bytes: 8,
      patch_bytes: 1,
    });
  });

  test("of a request: its beginning, and whether there is more", () => {
    const work = { workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };
    expect(requestShown({ ...work, prompt: "short" })).toMatchObject({ text: "short", cut: false });
    expect(requestShown({ ...work, prompt: "x".repeat(2001) })).toMatchObject({ text: "x".repeat(2000), cut: true });
  });
});
