import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { textArtifact } from "../../src/contracts/artifact.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { Database } from "../../src/store/database.ts";
import { envelopesOf } from "../../src/store/traces.ts";
import { answer, gate, handler, openCrew } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

describe("an attempt", () => {
  let world: World;
  let crew: ReturnType<typeof openCrew>;
  beforeEach(async () => {
    world = await openWorld();
    crew = openCrew(world);
  });
  afterEach(async () => {
    await crew.stop();
    await world.close();
  });

  /** A database that takes the first settlement of files back at its very end, for this reason. */
  function refusingOnce(reason: unknown): Database {
    let refused = false;
    const begin: Database["begin"] = (work) =>
      world.sql.begin(async (tx) => {
        const result = await work(tx);
        const [kept] = await tx`select from artifacts`;
        if (refused || !kept) return result;
        refused = true;
        throw reason;
      });
    return new Proxy(world.sql, { get: (sql, key) => (key === "begin" ? begin : Reflect.get(sql, key)) });
  }

  test.each([
    ["the connection breaks", new Failure("database_unavailable", "the connection broke")],
    ["two transactions wait for each other", Object.assign(new Error("deadlock detected"), { code: "40P01" })],
  ])(
    "whose settlement is taken back because %s settles again, with its files, and is not done twice",
    async (_, why) => {
      let calls = 0;
      const works = handler("chat.ask", async (_message, { keep }) => {
        calls += 1;
        await keep(textArtifact("rag", "note.txt", `call ${calls}`));
        return { result: calls, answer };
      });
      await crew.start([works], { sql: refusingOnce(why) });

      const traceId = await crew.ask("chat.ask");

      await crew.ended(traceId).toBe("done");
      expect(calls).toBe(1);
      expect(await envelopesOf(world.sql, traceId)).toMatchObject([{ status: "done", attempts: 1 }]);
      expect(await readFile(join(world.dir, `${traceId}/rag/note.txt`), "utf8")).toBe("call 1");
      expect(await world.sql`select attempts from artifacts`).toEqual([{ attempts: 1 }]);
    },
  );

  test("in hand when its worker stops ends within the grace, and nothing more is begun", async () => {
    const { open, opened } = gate();
    const begun: string[] = [];
    const worker = await crew.start(
      [
        handler("chat.ask", async ({ traceId }) => {
          begun.push(traceId);
          await opened;
          return { result: 1, answer };
        }),
      ],
      { concurrency: 1 },
    );
    const first = await crew.ask("chat.ask");
    await expect.poll(() => begun).toEqual([first]);
    const second = await crew.ask("chat.ask");

    const stopped = worker.stop(20_000);
    open();
    await stopped;

    expect(begun).toEqual([first]);
    expect(await envelopesOf(world.sql, first)).toMatchObject([{ status: "done", attempts: 1 }]);
    expect(await envelopesOf(world.sql, second)).toMatchObject([{ status: "queued", attempts: 0 }]);
  });
});
