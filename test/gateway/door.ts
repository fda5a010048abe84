import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect as connectTcp } from "node:net";
import type { Outcome } from "../../src/bus/handler.ts";
import { settleDone, settleFailed } from "../../src/bus/settle.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { Answer } from "../../src/contracts/message.ts";
import { LimitsPolicy, RoutePolicies } from "../../src/contracts/policy.ts";
import { type Gateway, type GatewayOptions, openGateway } from "../../src/gateway/server.ts";
import { nobodyIsAsked } from "../../src/rules/approval.ts";
import { stage } from "../../src/store/artifacts.ts";
import type { Claimed } from "../../src/store/messages.ts";
import { shipped as shippedPolicy } from "../support/agents.ts";
import { claim } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

/** The policies that are shipped. */
export const shipped = RoutePolicies.parse(JSON.parse(await readFile("configs/route_policies.json", "utf8")));

/** The limits that are shipped. */
export const shippedLimits = LimitsPolicy.parse(JSON.parse(await readFile("configs/limits.json", "utf8")));

/** A world with a gateway in it. */
export type Door = { world: World; gateway: Gateway; url: string; close(): Promise<void> };

export async function openDoor(changes: Partial<GatewayOptions> = {}): Promise<Door> {
  const world = await openWorld();
  const gateway = await gatewayOf(world, changes);
  return {
    world,
    gateway,
    url: gateway.url,
    async close() {
      await gateway.close();
      await world.close();
    },
  };
}

/** A gateway more on the same world. */
export function gatewayOf(world: World, changes: Partial<GatewayOptions> = {}): Promise<Gateway> {
  return openGateway({
    sql: world.sql,
    listen: { host: "127.0.0.1", port: 0 },
    artifactsBase: world.dir,
    policies: () => shipped,
    adminToken: null,
    requireAdminForNonGet: false,
    allowRemoteWithoutKeys: false,
    bodyLimit: 1_048_576,
    orchestrator: () => shippedPolicy,
    approvals: () => nobodyIsAsked,
    limits: () => shippedLimits,
    refusesAddress: () => null,
    log: world.log,
    now: () => world.now,
    newTraceId: randomUUID,
    version: "0.0.0-test",
    ...changes,
  });
}

/** A POST with a JSON body. */
export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

/** Sends bytes as they are and answers what comes back: for requests that no client would make. */
export function raw(url: string, request: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connectTcp(Number(port), hostname, () => socket.write(request));
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("data", (text) => {
      answer += text;
    });
    socket.on("end", () => resolve(answer));
    socket.on("error", reject);
  });
}

export const answer: Answer = { text: "forty-two", verdict: null, citations: [], provider: null, replay: false };

/** Claims the one due message of a role. */
export async function take({ sql }: World, role: string): Promise<Claimed> {
  const [message] = await claim(sql, { roles: [role], worker: "test", limit: 1, leaseMs: 60_000 });
  if (!message) throw new Error(`no message of ${role} is due`);
  return message;
}

/** Ends a message well. */
export function finish(world: World, message: Claimed, outcome: Partial<Outcome<unknown>> = {}): Promise<void> {
  const whole = outcome.next ? { result: {}, ...outcome } : { result: {}, answer, ...outcome };
  return settleDone(world.settling, message, { outcome: whole, staged: [], records: [] });
}

/** Ends a message and its trace badly. */
export async function bury(world: World, message: Claimed): Promise<void> {
  const thrown = new Failure("nothing_to_test", "there is no test in it", { looked_for: "package.json" });
  await settleFailed(world.settling, message, { thrown, staged: [], records: [] });
}

/** Ends a message well, with a file. */
export async function finishWith(
  world: World,
  message: Claimed,
  { name, contentType, content }: { name: string; contentType: string; content: string },
): Promise<void> {
  const artifact = { kind: "build-test" as const, name, schema: "text", contentType, content };
  const staged = [await stage(world.dir, artifact, { message, token: message.token, at: world.now })];
  await settleDone(world.settling, message, { outcome: { result: {}, answer }, staged, records: [] });
}
