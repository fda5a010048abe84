import type { LookupAddress } from "node:dns";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { guardedFetch, refuserBy } from "../../src/app/outbound.ts";
import { OutboundPolicy } from "../../src/contracts/policy.ts";

const forbids = OutboundPolicy.parse({ private_addresses: "forbid", except: ["10.0.0.7", "agents.internal"] });

test.each([
  "http://127.0.0.1:8080/",
  "http://[::1]/",
  "http://10.0.0.1/",
  "http://192.168.1.4/a",
  "http://169.254.169.254/latest",
  "http://[fd00::1]/",
  "http://[::ffff:10.0.0.1]/",
  "http://0x7f.1/",
  "http://2130706433/",
  "http://localhost:9000/",
  "http://db/",
  "http://a.localhost./",
  "https://vault.corp.internal/",
])("refuses %s when private addresses are forbidden, and says what to do", (url) => {
  expect(refuserBy(() => forbids)(url)).toContain("configs/outbound.json");
});

test.each([
  "https://agents.example.com/run",
  "http://93.184.216.34/",
  "http://10.0.0.7:80/",
  "http://agents.internal/",
])("lets %s pass", (url) => {
  expect(refuserBy(() => forbids)(url)).toBeNull();
});

test("refuses nothing while the policy allows, and follows an edit", () => {
  let policy = OutboundPolicy.parse({ private_addresses: "allow", except: [] });
  const refuses = refuserBy(() => policy);
  expect(refuses("http://10.0.0.1/")).toBeNull();

  policy = forbids;

  expect(refuses("http://10.0.0.1/")).not.toBeNull();
});

describe("a call to an agent", () => {
  let server: Server;
  let port = 0;
  let calls = 0;
  beforeAll(async () => {
    server = createServer((_, reply) => {
      calls += 1;
      reply.writeHead(302, { location: "http://10.0.0.1/" }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const leadsTo = (...found: string[]) => ({
    resolve: (_: string, __: object, done: (error: null, found: LookupAddress[]) => void) =>
      done(
        null,
        found.map((address) => ({ address, family: 4 })),
      ),
  });
  const lets = OutboundPolicy.parse({ private_addresses: "allow", except: [] });

  test("is refused when its name leads to a private address, also as one of several", async () => {
    const before = calls;
    for (const found of [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"]]) {
      const call = guardedFetch(() => forbids, leadsTo(...found).resolve)(`http://agent.example.com:${port}/`);
      await expect(call).rejects.toMatchObject({
        code: "address_forbidden",
        message: expect.stringContaining("127.0.0.1"),
      });
    }
    expect(calls).toBe(before);
  });

  test("is refused by its literal address before anything is sent", async () => {
    const call = guardedFetch(() => forbids)(`http://127.0.0.1:${port}/`);
    await expect(call).rejects.toMatchObject({ code: "address_forbidden" });
  });

  test("goes to a private address that is named as an exception, and where they are allowed", async () => {
    const named = OutboundPolicy.parse({ private_addresses: "forbid", except: ["agents.internal"] });
    const { resolve } = leadsTo("127.0.0.1");
    expect((await guardedFetch(() => named, resolve)(`http://agents.internal:${port}/`)).status).toBe(302);
    expect((await guardedFetch(() => lets, resolve)(`http://agent.example.com:${port}/`)).status).toBe(302);
  });

  test("follows no redirect, whatever it is asked", async () => {
    const answer = await guardedFetch(() => lets)(`http://127.0.0.1:${port}/`, { redirect: "follow" });
    expect(answer.status).toBe(302);
  });
});
