import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DecideRequest } from "../../../src/contracts/decision.ts";
import { IndexRequest, QueryArtifact, QueryRequest, QueryResult } from "../../../src/contracts/knowledge.ts";
import { index } from "../../../src/services/rag/index.ts";
import { query } from "../../../src/services/rag/query.ts";
import { message, openWorld, type World } from "../../support/world.ts";

const encyclopedia = [
  ["Demon Dice", "Demon Dice is a collectible dice game created by Lester Smith. Each player controls a demon."],
  ["Lester Smith", "Lester W. Smith is a designer. He was born in Waukegan and studied in Chicago."],
  ["Demon algorithm", "The demon algorithm is a Monte Carlo method for sampling members of an ensemble."],
  ["Waukegan", "Waukegan is a city in Lake County. Its population was 89,321 in 2020."],
  ["Chicago", "Chicago is a city in the state of Illinois."],
  ["Dragon Dice", "Dragon Dice is another dice game. It was published in 1995."],
] as const;

const manual = `# Server

## bodyLimit

+ Default: \`1048576\`

The most bytes of a body that the server accepts.
A longer one is answered with \`FST_ERR_CTP_BODY_TOO_LARGE\`.

## trustProxy

Believes the \`X-Forwarded-*\` headers of a proxy in front of it.

## listen

Starts the server. Without an address it listens on localhost.
`;

describe("rag.query", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    await world.sql`insert into tenants (id) values ('acme'), ('empty')`;
    const pages = encyclopedia.map(([title, text], at) => ({ id: `p${at}`, title, text, format: "text" }));
    await send("local", { collection: "pages", documents: pages });
    await send("local", { collection: "manual", documents: [{ id: "docs/Server.md", text: manual }] });
    await send("acme", {
      collection: "pages",
      documents: [
        { id: "secret", title: "Lester Smith", text: "Lester Smith was born in a secret place.", format: "text" },
      ],
    });
  });
  afterAll(() => world.close());

  const send = (tenant: string, body: unknown) =>
    index.handle(message(IndexRequest.parse(body), { tenant }), world.tools);
  const ask = (body: Record<string, unknown>, tenant = "local") =>
    query.handle(message(QueryRequest.parse(body), { tenant }), world.tools);

  test("answers with a sentence whose citation points at exactly those characters, under its heading path", async () => {
    const { result, answer, next } = await ask({
      query: "How many bytes of a body does it accept?",
      collection: "manual",
    });

    expect(next).toBeUndefined();
    expect(QueryResult.parse(result)).toEqual(result);
    const [citation] = answer?.citations ?? [];
    expect(citation).toMatchObject({ document_id: "docs/Server.md", title: "Server", section: "Server > bodyLimit" });
    expect(manual.slice(...(citation?.span ?? []))).toBe(citation?.quote);
    expect(answer?.text.split("\n")[0]).toMatch(/^The most bytes of a body that the server accepts\..*\[1\]$/);
    expect(answer).toMatchObject({ verdict: null, provider: null, replay: false });
  });

  test("gives each passage its exact place, reasons and score, best first", async () => {
    const { result } = await ask({ query: "trust a proxy", collection: "manual", k: 3 });

    expect(result.results[0]).toMatchObject({ chunk_id: "docs/Server.md#1", section: "Server > trustProxy", path: [] });
    for (const { span, text, reasons } of result.results) {
      expect(manual.slice(...span)).toBe(text);
      expect(reasons.length).toBeGreaterThan(0);
    }
    const scores = result.results.map(({ score }) => score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(result).toMatchObject({ provider: null });
    expect(result.took_ms).toBeGreaterThan(0);
  });

  test("hops to the passage that the question does not name, and tells the way", async () => {
    const { result } = await ask({ query: "When was the man born who created Demon Dice?", collection: "pages", k: 3 });

    const [first, second] = result.results.slice(0, 2).toSorted((a, b) => (a.title < b.title ? -1 : 1));
    expect([first?.title, second?.title]).toEqual(["Demon Dice", "Lester Smith"]);
    expect(second?.path).toEqual([
      {
        chunk_id: "p0#0",
        title: "Demon Dice",
        sentence: "Demon Dice is a collectible dice game created by Lester Smith.",
        name: "lester smith",
        kind: "titled",
      },
    ]);
    expect(second?.reasons).toContainEqual(expect.stringContaining('is what "Demon Dice" calls lester smith'));
  });

  test("a symbol that a question spells in words is found by its heading", async () => {
    const { result } = await ask({ query: "body limit" });

    expect(result.results[0]).toMatchObject({ section: "Server > bodyLimit", collection: "manual" });
    expect(result.results[0]?.reasons[0]).toContain("the question names it: body limit");
  });

  test("never crosses to another tenant: not by words, not by a name, not by a hop", async () => {
    const ours = await ask({ query: "Where was the creator of Demon Dice, Lester Smith, born? secret place", k: 50 });
    const theirs = await ask({ query: "Who is Lester Smith and who made Demon Dice?", k: 50 }, "acme");

    expect(ours.result.results.map(({ document_id }) => document_id)).not.toContain("secret");
    expect(theirs.result.results.map(({ document_id }) => document_id)).toEqual(["secret"]);
  });

  test("stays in the collection that was asked for, and searches all of them when none was", async () => {
    const inside = await ask({ query: "dice game in the city", collection: "manual", k: 50 });
    const outside = await ask({ query: "dice game or proxy server", k: 50 });

    expect(inside.result.results).toEqual([]);
    expect(new Set(outside.result.results.map(({ collection }) => collection))).toEqual(new Set(["pages", "manual"]));
  });

  test("scores do not change because another collection or tenant has other words", async () => {
    const body = { query: "Which city has which population?", collection: "pages" };
    const before = await ask(body);
    await send("local", { collection: "noise", documents: [{ id: "n", text: "city city population town" }] });
    await send("acme", { collection: "pages", documents: [{ id: "n", text: "city city population town" }] });
    const after = await ask(body);

    expect(after.result.results).toEqual(before.result.results);
    await send("local", { collection: "noise", delete: ["n"] });
  });

  test.each([
    ["zyxwv qponm", "pages", "Nothing was found in collection pages that answers this."],
    ["the of and", "pages", "Nothing was found in collection pages that answers this."],
    ["?!", null, "Nothing was found in any collection that answers this."],
    [
      "Demon Dice",
      "nowhere",
      "There is no collection nowhere. There are: pages, manual. `dagent index FOLDER -c nowhere` or POST /api/rag/index makes it.",
    ],
  ])("says honestly that %j is not in %s", async (words, collection, text) => {
    const { result, answer } = await ask({ query: words, collection });

    expect(answer).toEqual({ text, verdict: null, citations: [], provider: null, replay: false });
    expect(result).toMatchObject({ results: [], citations: [] });
  });

  test("does not quote what only shares a word with the question", async () => {
    const { result, answer } = await ask({ query: "Which player won the tennis open championship final of Paris?" });

    expect(result.results.length).toBeGreaterThan(0);
    expect(answer?.citations).toEqual([]);
    expect(answer?.text).toMatch(/What came nearest: \/artifacts\/[0-9a-f-]+\/rag\/query\.json/);
  });

  test("a tenant without documents gets an answer, not a failure", async () => {
    const { answer } = await ask({ query: "Demon Dice" }, "empty");

    expect(answer?.citations).toEqual([]);
    expect(answer?.text).toBe(
      "There are no documents yet, and no collection default. `dagent index FOLDER -c default` or POST /api/rag/index makes it.",
    );
  });

  test("work that names a collection that is not there goes on without, and says so", async () => {
    world.said.splice(0);
    const work = { prompt: "x", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };

    const { next } = await ask({ query: "a clock", collection: "nowhere", work });

    expect(next).toHaveLength(1);
    expect(world.said).toEqual([
      expect.stringMatching(/^There is no collection nowhere\. .* The work goes on without\.$/),
    ]);
  });

  test("with work it grounds it and goes on to the orchestrator, and answers nothing", async () => {
    const work = {
      prompt: "make the body limit larger",
      workspace: { "a.js": "1" },
      language: null,
      build: null,
      test: null,
      max_rounds: 2,
      grounding: [],
    };
    const { result, answer, next } = await ask({ query: work.prompt, collection: "manual", k: 2, work });

    expect(answer).toBeUndefined();
    expect(next).toHaveLength(1);
    expect(next?.[0]?.to).toBe("orchestrator.decide");
    const decide = DecideRequest.parse(next?.[0]?.payload);
    expect(decide).toMatchObject({ role: "executor.execute", work: { ...work, grounding: expect.any(Array) } });
    expect(decide.work.grounding.map(({ section }) => section)).toEqual(result.results.map(({ section }) => section));
    expect(decide.work.grounding[0]?.section).toBe("Server > bodyLimit");
  });

  test("keeps rag/query.json with what was asked and what was found", async () => {
    world.kept.length = 0;
    const { result } = await ask({ query: "trust a proxy", collection: "manual" });

    expect(world.kept).toMatchObject([{ kind: "rag", name: "query.json", schema: "rag.query/1" }]);
    const kept = QueryArtifact.parse(JSON.parse(String(world.kept[0]?.content)));
    expect(kept).toEqual({
      request: { query: "trust a proxy", collection: "manual", mode: "auto", k: 5 },
      result: expect.objectContaining({ results: result.results, citations: result.citations }),
    });
  });

  test("a question of 20,000 characters is cut, not refused", async () => {
    const { result } = await ask({ query: `trust a proxy ${"word salad ".repeat(1800)}`, collection: "manual" });

    expect(result.results[0]?.section).toBe("Server > trustProxy");
  });

  test.each([
    [{ query: "" }, "query"],
    [{ query: "x", mode: "global" }, "mode"],
    [{ query: "x", k: 0 }, "k"],
    [{ query: "x", k: 51 }, "k"],
    [{ query: "x", collection: "../x" }, "collection"],
  ])("a question that cannot be asked is refused: %j", (body, path) => {
    expect(QueryRequest.safeParse(body).error?.issues.map((issue) => issue.path.join("."))).toEqual([path]);
  });
});
