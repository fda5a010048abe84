import { expect, test } from "vitest";
import { openWire } from "../../../bench/chaos/wire.ts";

test("a wire goes down and up as often as it must, and keeps no listener of before", async () => {
  const warned: Error[] = [];
  const hear = (warning: Error) => void warned.push(warning);
  process.on("warning", hear);
  const wire = await openWire("postgres://127.0.0.1:1/none");
  try {
    for (let turn = 0; turn < 12; turn += 1) {
      wire.down();
      await wire.up("postgres://127.0.0.1:1/none");
    }
    await new Promise(setImmediate);
    expect(warned).toEqual([]);
  } finally {
    process.off("warning", hear);
    await wire.close();
  }
});
