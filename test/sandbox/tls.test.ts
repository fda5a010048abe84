import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dial } from "../../src/sandbox/dial.ts";
import { type Hub, openHub } from "../../src/sandbox/hub.ts";
import { keepLog } from "./log.ts";
import { token } from "./request.ts";

const openssl = spawnSync("openssl", ["version"]).status === 0;

describe.skipIf(!openssl)(`a hub with a certificate${openssl ? "" : " (not run: openssl is not installed)"}`, () => {
  const log = keepLog();
  let hub: Hub;
  let cert: string;
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), "sandbox-tls-"));
    const files = { key: join(folder, "key.pem"), cert: join(folder, "cert.pem") };
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    spawnSync("openssl", [
      "req",
      "-x509",
      ...curve,
      "-keyout",
      files.key,
      "-out",
      files.cert,
      "-days",
      "2",
      ...subject,
    ]);
    cert = readFileSync(files.cert, "utf8");
    const tls = { cert, key: readFileSync(files.key, "utf8") };
    rmSync(folder, { recursive: true });
    hub = await openHub({ host: "localhost", port: 0, token, tls, log });
  });
  afterAll(() => hub.close());

  test("is dialled with wss:// by who trusts it", async () => {
    const opened = await new Promise<boolean>((open) => {
      const dialling = dial(`wss://localhost:${hub.port}`, {
        token,
        ca: cert,
        log,
        onOpen(socket) {
          open(socket.url.startsWith("wss:"));
          dialling.stop();
          socket.terminate();
        },
      });
    });

    expect(opened).toBe(true);
  });

  test.each([
    ["does not know who vouches for it", "wss", "certificate"],
    ["speaks without TLS", "ws", "hang up"],
  ])("is out of reach for who %s", async (_, scheme, word) => {
    const own = keepLog();
    const dialling = dial(`${scheme}://localhost:${hub.port}`, { token, log: own, onOpen: () => expect.unreachable() });
    await own.heard("out of reach");
    dialling.stop();

    expect(own.lines.join()).toContain(word);
  });
});
