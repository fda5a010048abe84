import { afterAll, beforeAll, expect, test } from "vitest";
import { openOutlet } from "../../src/bus/outlet.ts";
import { listenToSaid, type Said } from "../../src/store/tokens.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

test("words are gathered, and come out whole and in order; after the end nothing is left behind", async () => {
  const heard: Said[] = [];
  const unlisten = await listenToSaid(world.sql, (said) => void heard.push(said));
  const outlet = openOutlet(world.sql, { traceId: "t", round: 1 });
  const words = Array.from({ length: 500 }, (_, n) => `${n} `);
  for (const word of words) outlet.say(word);
  await outlet.end();
  await expect.poll(() => heard.map(({ text }) => text).join("")).toBe(words.join(""));
  expect(heard.length).toBeLessThan(10);
  await outlet.end();
  await unlisten();
});

test("words that cannot be sent are no failure", async () => {
  const gone = await openWorld();
  const outlet = openOutlet(gone.sql, { traceId: "t", round: 1 });
  await gone.close();
  outlet.say("into the void");
  await expect(outlet.end()).resolves.toBeUndefined();
});
