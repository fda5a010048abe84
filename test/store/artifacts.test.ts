import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { textArtifact } from "../../src/contracts/artifact.ts";
import { dropStaged, stage, sweepDrafts } from "../../src/store/artifacts.ts";
import { message } from "../support/world.ts";

describe("staging an artifact", () => {
  let base: string;
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), "dagent-artifacts-"));
  });
  afterAll(() => rm(base, { recursive: true }));

  const at = new Date("2030-01-01T00:00:00Z");
  const put = (name: string, token = "1") =>
    stage(base, textArtifact("rag", name, "text"), { message: message({}), token, at });

  test("shows nothing in its place, and two attempts do not touch each other's drafts", async () => {
    const traceId = randomUUID();
    const one = await stage(base, textArtifact("rag", "a.txt", "one"), {
      message: message({}, { traceId }),
      token: "1",
      at,
    });
    const two = await stage(base, textArtifact("rag", "a.txt", "two"), {
      message: message({}, { traceId }),
      token: "2",
      at,
    });

    expect(existsSync(join(base, one.meta.path))).toBe(false);
    expect(await readFile(one.draft, "utf8")).toBe("one");
    await dropStaged([one]);
    expect(await readFile(two.draft, "utf8")).toBe("two");
  });

  test("keeps the same bytes under two names as one file, and a later draft of one leaves the other alone", async () => {
    const own = { message: message({}), token: "5", at };
    const one = await stage(base, textArtifact("rag", "one.txt", "same"), own);
    const two = await stage(base, textArtifact("rag", "two.txt", "same"), { ...own, others: [one] });
    const [a, b] = [await stat(one.draft), await stat(two.draft)];
    expect(a.ino).toBe(b.ino);

    const again = await stage(base, textArtifact("rag", "one.txt", "new"), { ...own, others: [one, two] });

    expect(again.draft).toBe(one.draft);
    expect(await readFile(again.draft, "utf8")).toBe("new");
    expect(await readFile(two.draft, "utf8")).toBe("same");
  });

  test("says who made it, and whether that was a canary", async () => {
    const budget = { max_cost_usd: null, max_tokens: null };
    const assignment = { agent_id: "bold", agent_version: "2", canary: true, model: null, budget, ttl_ms: null };
    const { meta } = await stage(base, textArtifact("rag", "a.txt", "one"), {
      message: message({}, { assignment }),
      token: "3",
      at,
    });

    expect(meta).toMatchObject({ agent_id: "bold", agent_version: "2", canary: true });
    expect((await put("b.txt")).meta).toMatchObject({ agent_id: null, canary: false });
  });

  test.each(["../../../out", "../../../../etc/passwd", "a\0b"])(
    "refuses a name that leaves the folder: %j",
    async (name) => {
      await expect(put(name)).rejects.toMatchObject({ code: "invalid_request" });
    },
  );

  test("sweeps the drafts of killed workers, and leaves those of living ones", async () => {
    const [old, fresh] = [await put("old.txt"), await put("fresh.txt")];
    const before = new Date("2029-01-01T00:00:00Z");
    await utimes(old.draft, before, before);
    await utimes(fresh.draft, at, at);

    const swept = await sweepDrafts(base, new Date("2029-06-01T00:00:00Z"));

    expect(swept).toBeGreaterThanOrEqual(1);
    expect(existsSync(old.draft)).toBe(false);
    expect(existsSync(fresh.draft)).toBe(true);
  });
});
