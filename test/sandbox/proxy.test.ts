import { createServer, type Server as Http, type IncomingMessage, request } from "node:http";
import { type AddressInfo, connect, createServer as createTcp, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Network } from "../../src/contracts/network.ts";
import { type OpenProxy, type Refusal, serveProxy } from "../../src/sandbox/proxy.ts";

describe("the way out", () => {
  let upstream: Http;
  let to: number; // the port of the server outside, at 127.0.0.2
  let front: Server;
  let proxy: OpenProxy;
  let refusals: Refusal[];
  let asked: IncomingMessage[];
  beforeEach(async () => {
    refusals = [];
    asked = [];
    upstream = createServer((message, reply) => {
      asked.push(message);
      message.resume().on("end", () => reply.end("outside".repeat(Number(message.headers["x-times"] ?? 1))));
    });
    await new Promise<void>((up) => upstream.listen(0, "127.0.0.2", up));
    to = portOf(upstream);
  });
  afterEach(() => {
    proxy.close();
    upstream.closeAllConnections();
    upstream.close();
  });

  const portOf = (server: Server | Http) => (server.address() as AddressInfo).port;

  /** A proxy that lets `listed` through, where every other name is at `addresses`. */
  async function open(network: Partial<Network> = {}, addresses: () => string[] = () => ["127.0.0.2"]) {
    front = createTcp();
    await new Promise<void>((up) => front.listen(0, "127.0.0.1", up));
    const allow = [
      { host: "listed.test", ports: [to] },
      { host: "127.0.0.2", ports: [to] },
    ];
    proxy = serveProxy(front, {
      network: { mode: "allowlist", allow, bytes: 1_000_000, on_attempt: "fail", ...network },
      onRefused: (refusal) => void refusals.push(refusal),
      resolve: async () => addresses(),
    });
  }

  type Answer = { status: number | undefined; text: string };
  function get(url: string, headers: Record<string, string> = {}, method = "GET", body = ""): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asking = request({ port: portOf(front), path: url, method, headers, agent: false }, (answer) => {
        let text = "";
        answer.on("data", (bytes) => {
          text += bytes;
        });
        answer.on("end", () => resolve({ status: answer.statusCode, text }));
        answer.on("error", reject);
        answer.on("close", () => reject(new Error("broken off")));
      });
      asking.on("error", reject);
      asking.end(body);
    });
  }

  /** Asks for a tunnel, sends what is given, and answers all that comes back until the end. */
  function tunnel(target: string, sent = "GET / HTTP/1.0\r\n\r\n"): Promise<string> {
    return new Promise((resolve) => {
      let heard = "";
      const socket = connect(portOf(front), "127.0.0.1", () => socket.write(`CONNECT ${target} HTTP/1.1\r\n\r\n`));
      socket.once("data", () => socket.write(sent));
      socket.on("data", (bytes) => {
        heard += bytes;
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(heard));
    });
  }

  test("hands on what is asked by name, with its body, and tells nobody of the proxy", async () => {
    await open();

    const answer = await get(
      `http://listed.test:${to}/a?b=c`,
      { "proxy-authorization": "secret", connection: "x-own", "x-own": "1", "x-kept": "2", host: "other.test" },
      "POST",
      "body",
    );

    expect(answer).toEqual({ status: 200, text: "outside" });
    expect(asked[0]).toMatchObject({ method: "POST", url: "/a?b=c" });
    expect(asked[0]?.headers).toMatchObject({ host: `listed.test:${to}`, "x-kept": "2" });
    expect(asked[0]?.headers).not.toHaveProperty("proxy-authorization");
    expect(asked[0]?.headers).not.toHaveProperty("x-own");
    expect(refusals).toEqual([]);
  });

  test("digs a tunnel to a name and to an address of the list", async () => {
    await open();

    expect(await tunnel(`listed.test:${to}`)).toMatch(/^HTTP\/1.1 200 .*outside$/s);
    expect(await tunnel(`127.0.0.2:${to}`)).toMatch(/^HTTP\/1.1 200 .*outside$/s);
    expect([...proxy.reached]).toEqual([
      [`listed.test:${to}`, 1],
      [`127.0.0.2:${to}`, 1],
    ]);
  });

  test.each([
    ["another name", "other.test", 0],
    ["another port", "listed.test", 1],
    ["an address that is not listed", "127.0.0.1", 0],
    ["an address as a number", "2130706433", 0],
    ["an address of version 6 that is one of version 4", "[::ffff:127.0.0.1]", 0],
  ])("refuses %s, by both ways of asking, and tells the run each time", async (_, host, more) => {
    await open();

    expect((await get(`http://${host}:${to + more}/`)).status).toBe(403);
    expect(await tunnel(`${host}:${to + more}`)).toMatch(/^HTTP\/1.1 403 /);
    expect(refusals).toHaveLength(2);
    expect(refusals[1]).toEqual({
      limit: "allowlist",
      observed: expect.stringMatching(/is not on the list|not listed/),
    });
    expect(asked).toEqual([]);
  });

  test.each([["127.0.0.1"], ["169.254.169.254"], ["10.0.0.1"], ["::1"], ["fd00::1"]])(
    "refuses a listed name that is at %s",
    async (address) => {
      await open({}, () => [address]);

      expect(await tunnel(`listed.test:${to}`)).toMatch(/^HTTP\/1.1 403 /);
      expect(refusals).toEqual([
        {
          limit: "allowlist",
          observed: `listed.test:${to} is at ${address}, which is no public address and not listed`,
        },
      ]);
    },
  );

  test("connects to the address it has checked, however the name is pointed afterwards", async () => {
    let looks = 0;
    await open({}, () => (++looks === 1 ? ["127.0.0.2"] : ["127.0.0.1"]));

    expect(await tunnel(`listed.test:${to}`)).toContain("outside");
    expect(looks).toBe(1);
    expect(await tunnel(`listed.test:${to}`)).toMatch(/^HTTP\/1.1 403 /);
  });

  test("passes over the private addresses of a name that has others", async () => {
    await open({}, () => ["10.0.0.1", "127.0.0.2"]);

    expect(await tunnel(`listed.test:${to}`)).toContain("outside");
  });

  test("ends everything once the bytes are spent, and says so once", async () => {
    await open({ bytes: 1000 });

    const answers = await Promise.allSettled([
      get(`http://listed.test:${to}/`, { "x-times": "9000" }),
      tunnel(`listed.test:${to}`, "GET / HTTP/1.0\r\nx-times: 9000\r\n\r\n"),
    ]);

    expect(answers[0].status).toBe("rejected");
    expect(refusals).toEqual([{ limit: 1000, observed: expect.any(Number) }]);
    expect(Number(refusals[0]?.observed)).toBeGreaterThan(1000);
  });

  test("counts what goes out as well", async () => {
    await open({ bytes: 1000 });

    await get(`http://listed.test:${to}/`, {}, "POST", "x".repeat(5000)).catch(() => {});

    expect(refusals).toHaveLength(1);
  });

  test("says that nobody is there without taking it for an attempt", async () => {
    await open(
      {
        allow: [
          { host: "gone.test", ports: [1] },
          { host: "127.0.0.2", ports: [1] },
        ],
      },
      () => ["127.0.0.2"],
    );
    const there = await get("http://gone.test:1/");
    proxy.close();
    await open({}, () => []);

    expect(there.status).toBe(502);
    expect((await get(`http://listed.test:${to}/`)).status).toBe(502);
    expect(refusals).toEqual([]);
  });

  test.each([
    "CONNECT nonsense HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET https://listed.test/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "\0\x01\x02\r\n\r\n",
    "GET ",
  ])("survives %j", async (words) => {
    await open();
    const socket = connect(portOf(front), "127.0.0.1", () => socket.end(words));
    await new Promise((end) =>
      socket
        .on("close", end)
        .on("error", () => {})
        .resume(),
    );

    expect(await get(`http://listed.test:${to}/`)).toEqual({ status: 200, text: "outside" });
    expect(refusals).toEqual([]);
  });
});
