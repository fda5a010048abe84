import { Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import type { SandboxRun } from "../contracts/sandbox.ts";
import { type Hub, openHub } from "../sandbox/hub.ts";
import type { Database } from "../store/database.ts";
import { tellAlone } from "../store/events.ts";
import { sandboxKeyOf } from "../store/keys.ts";
import { beat } from "../store/workers.ts";
import type { Config } from "./config.ts";
import { readText } from "./policies.ts";

/** The place where sandbox workers dial in, as a worker has it. `port` null: there is none here. */
export type SandboxHub = {
  port: number | null;
  run: SandboxRun;
  tellAlive(): Promise<void>; // who is connected; whose key was revoked leaves; who refuses work is told as an event, once
  close(): Promise<void>;
};

const usualPort = 8788;

/** Opens the hub that SANDBOX_TOKEN or SANDBOX_HUB_PORT asks for. Throws `config_invalid`. */
export async function openSandboxHub(
  { sandbox }: Config,
  { sql, log }: { sql: Database; log: Log },
): Promise<SandboxHub> {
  const { token, hubHost: host, hubPort, hubTls } = sandbox;
  if (token === null && hubPort === null) {
    log.warn({}, "neither SANDBOX_TOKEN nor SANDBOX_HUB_PORT is set: nothing can be built or tested here");
    return { port: null, run: noSandbox, tellAlive: async () => {}, close: async () => {} };
  }
  const tls = hubTls && { cert: await readText(hubTls.certFile), key: await readText(hubTls.keyFile) };
  if (!tls && !/^(127\.|::1$|localhost$)/.test(host)) {
    log.warn({ host }, "sandbox workers dial in without TLS: set SANDBOX_HUB_CERT and SANDBOX_HUB_KEY");
  }
  const keyOf = (sha256: Buffer) => sandboxKeyOf(sql, sha256);
  const hub = await openHub({ host, port: hubPort ?? usualPort, token, keyOf, tls, log });
  const refusing = new Set<string>();

  async function tellRefusal({ id, key, why }: ReturnType<Hub["workers"]>[number]): Promise<void> {
    if (refusing.has(id)) return;
    refusing.add(id);
    await tellAlone(sql, { kind: "sandbox_refuses_work", details: { worker: id, key, why } });
  }
  return {
    port: hub.port,
    run: hub.run,
    async tellAlive() {
      await hub.checkKeys();
      for (const worker of hub.workers()) {
        const { id, ...facts } = worker;
        await beat(sql, { id: `sandbox-${id}`, kind: "sandbox", roles: [], facts });
        if (facts.class === null) await tellRefusal(worker);
      }
    },
    close: hub.close,
  };
}

const noSandbox: SandboxRun = async () => {
  throw new Failure("sandbox_unavailable", "this worker has no hub, so no sandbox can dial in: set SANDBOX_TOKEN");
};
