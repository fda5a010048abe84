import { spawn } from "node:child_process";
import { Server } from "node:net";
import { Failure } from "../contracts/failure.ts";

/** Where a box finds its way out, when it has one. */
export const proxyPort = 3128;

/** What names the way out to the programs in a box; its own addresses are reached without. */
export const proxyEnvironment: Record<string, string> = {
  ...Object.fromEntries(
    ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].map((name) => [name, `http://127.0.0.1:${proxyPort}`]),
  ),
  no_proxy: "localhost,127.0.0.1,::1",
  NO_PROXY: "localhost,127.0.0.1,::1",
  NODE_USE_ENV_PROXY: "1", // Node reads the others from version 24 on, and only when told
};

const program = `const server = require("node:net").createServer();
server.listen(${proxyPort}, "127.0.0.1", () => process.send("listening", server, () => process.exit(0)));`;

const lateMs = 10_000;

/**
 * Listens on the loopback of a box, from outside. A short-lived process enters the box's network, opens the socket there
 * and hands it over: a socket stays in the network it was made in, so nothing of this runs in the box, and the box still
 * has no interface but its loopback.
 *
 * outside  a process of the box's chain that is still in the worker's own file system; for a plain user it has the right
 * pid      the box's first process
 */
export function listenInside({
  nsenter,
  outside,
  pid,
}: {
  nsenter: string;
  outside: number;
  pid: number;
}): Promise<Server> {
  const right = process.getuid?.() === 0 ? [] : [`--user=/proc/${outside}/ns/user`, "--preserve-credentials"];
  const args = [...right, `--net=/proc/${pid}/ns/net`, "--", process.execPath, "-e", program];
  const child = spawn(nsenter, args, { cwd: "/", env: {}, stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let said = "";
  child.stderr?.on("data", (bytes) => {
    said = (said + bytes).slice(-1000);
  });
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      clearTimeout(late);
      child.kill("SIGKILL");
      reject(new Failure("sandbox_unavailable", `the box's way out could not be opened: ${why}`));
    };
    const late = setTimeout(() => fail(`nothing was heard for ${lateMs} ms`), lateMs);
    child.once("error", (error) => fail(error.message));
    child.once("exit", () => setImmediate(() => fail(said.trim() || "it ended without a word")));
    child.once("message", (_, handle) => {
      clearTimeout(late);
      if (handle instanceof Server) resolve(handle);
      else fail("no socket came");
    });
  });
}
