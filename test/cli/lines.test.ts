import fc from "fast-check";
import { expect, test } from "vitest";
import { readLines } from "../../src/cli/lines.ts";

async function linesOf(chunks: Buffer[], most = 1000) {
  async function* stream() {
    yield* chunks;
  }
  const lines = [];
  for await (const line of readLines(stream(), most)) lines.push(line);
  return lines;
}

test("gives the same lines however the bytes come in", async () => {
  const text = fc.array(fc.string({ unit: "binary" }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat({ max: 60 })), async (parts, cuts) => {
      const whole = Buffer.from(parts.join("\n"));
      const ends = [...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
      const chunks = ends.map((end, index) => whole.subarray(ends[index - 1] ?? 0, end));

      expect(await linesOf(chunks)).toEqual(await linesOf([whole]));
    }),
  );
});

test("passes over a line that is too long, and reads on behind it", async () => {
  const chunks = ["short\n", "x".repeat(700), "x".repeat(700), "\n\n  \nlast"].map((text) => Buffer.from(text));

  expect(await linesOf(chunks)).toEqual(["short", null, "last"]);
});
