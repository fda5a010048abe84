import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { TraceId } from "../../src/contracts/message.ts";
import { traceIdAt } from "../../src/rules/traceid.ts";

test("a trace id says when it was made, is a UUID of version 7, and keeps the chance it was given", () => {
  expect(traceIdAt(0x017f22e279b0, "aaaaaaaa-bbbb-4cc3-98c4-dc0c0c07398f")).toBe(
    "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
  );
});

test("later ids come after earlier ones, whatever the chance", () => {
  const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
  fc.assert(
    fc.property(time, time, (one, other) => {
      const [first, second] = [one, other].map((ms) => traceIdAt(ms, randomUUID())) as [string, string];
      expect(TraceId.safeParse(first).success).toBe(true);
      if (one !== other) expect(first < second).toBe(one < other);
    }),
  );
});
