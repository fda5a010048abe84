import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withoutCircuits } from "../../bench/code/ground.ts";
import { loadPolicy, policyNames } from "../../src/app/policies.ts";
import { turnCircuit } from "../../src/rules/circuit.ts";

test("an evaluation has the operator's files, and wrong answers open none of its circuits", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ground-"));
  try {
    const made = await withoutCircuits("configs", join(folder, "configs"));

    const { default: rule, keys } = await loadPolicy(made, "circuit_breaker.json");
    const red = { state: "closed" as const, openMs: 0, byHand: false, ok: 0, failed: 10_000, held: false };
    for (const one of [rule, ...Object.values(keys)]) expect(turnCircuit(red, one)).toBeNull();
    for (const name of policyNames.filter((other) => other !== "circuit_breaker.json"))
      expect(await loadPolicy(made, name)).toEqual(await loadPolicy("configs", name));
  } finally {
    await rm(folder, { recursive: true });
  }
});
