import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { Accepted, Health } from "../../src/contracts/http.ts";
import { Summary } from "../../src/contracts/metrics.ts";
import { type Door, finish, openDoor, post, shipped, take } from "./door.ts";

describe("the other routes", () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());

  test("POST /api/rag/index sends documents to rag.index", async () => {
    const documents = [{ id: "hooks.md", text: "# Hooks\nThey are called." }];

    const reply = await post(`${door.url}/api/rag/index`, { collection: "docs", documents });

    expect(reply.status).toBe(202);
    const { trace_id } = Accepted.parse(await reply.json());
    const message = await take(door.world, "rag.index");
    expect(message).toMatchObject({
      traceId: trace_id,
      intent: "rag.index",
      payload: { collection: "docs", documents },
    });
    await finish(door.world, message);
  });

  test("POST /api/rag/index names the field that is wrong", async () => {
    const reply = await post(`${door.url}/api/rag/index`, { collection: "docs", documents: [{ id: "", text: "x" }] });

    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ code: "invalid_request", errors: [{ path: "/documents/0/id" }] });
  });

  test("GET /api/metrics/summary has its shape in an empty house", async () => {
    const summary = Summary.parse(await (await fetch(`${door.url}/api/metrics/summary`)).json());

    expect(summary).toMatchObject({ at: "2030-01-01T00:00:00.000Z", window_s: 86_400, circuits: [] });
  });

  test("GET /health says what runs", async () => {
    const reply = await fetch(`${door.url}/health`);

    expect(Health.parse(await reply.json())).toMatchObject({ status: "ok", version: "0.0.0-test", database: "ok" });
  });

  test("GET /openapi.json describes every route that has a policy", async () => {
    const reply = await fetch(`${door.url}/openapi.json`);

    const Document = z.object({ openapi: z.string(), paths: z.record(z.string(), z.record(z.string(), z.unknown())) });
    const { openapi, paths } = Document.parse(await reply.json());
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`),
    );
    const hidden = ["GET /", "GET /openapi.json", "GET /docs", "GET /docs/*"];
    expect(openapi).toBe("3.1.0");
    expect(described.map((route) => route.replace("{*}", "*")).sort()).toEqual(
      Object.keys(shipped.routes)
        .filter((route) => !hidden.includes(route))
        .sort(),
    );
    expect(JSON.stringify(paths["/api/chat"])).toContain("max_rounds");
    expect(JSON.stringify(paths["/api/chat"])).toContain("application/problem+json");
  });

  test("GET / leads to the docs", async () => {
    const reply = await fetch(door.url, { redirect: "manual" });

    expect([reply.status, reply.headers.get("location")]).toEqual([302, "/docs"]);
    expect((await fetch(`${door.url}/nowhere`)).status).toBe(404);
  });

  test("GET /docs is a page that loads its own scripts", async () => {
    const page = await fetch(`${door.url}/docs`);
    const html = await page.text();

    expect(page.headers.get("content-type")).toMatch(/^text\/html/);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
    expect(html).toContain("swagger-ui");
    for (const [, path = ""] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const part = await fetch(new URL(path, `${page.url}/`));
      expect([path, part.status]).toEqual([path, 200]);
    }
  });
});
