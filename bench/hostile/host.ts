import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";

/** What a hostile program is told of the host, so that it can try to reach it: `host.json` in its work folder. */
export type HostFacts = {
  pid: number; // a process that must live on
  port: number; // a server on loopback that must hear nothing
  folder: string; // holds `secret`, `socket`, `open`, in which anybody may write, and `shown`
  root: boolean; // whether the files are root's
  secret: string; // must appear nowhere; it is in this process's environment and in a file
  marker: string; // a number that no other process has among its arguments
  name: string;
};

/** Things laid out on this host to be left alone, and the eye on them. */
export type HostWatch = {
  facts: HostFacts;
  harm(): Promise<string[]>; // what was touched so far; empty is well
  close(): void;
};

/** Lays out a process, servers and files, in a folder that anybody may read. */
export async function watchHost(): Promise<HostWatch> {
  const secret = `secret${randomBytes(9).toString("hex")}`;
  const marker = `8${process.pid}${String(randomBytes(3).readUIntBE(0, 3)).padStart(8, "0")}.5`;
  const folder = mkdtempSync(join(tmpdir(), "hostile-"));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, "secret"), secret, { mode: 0o644 });
  mkdirSync(join(folder, "open"));
  chmodSync(join(folder, "open"), 0o777);

  const shown = join(folder, "shown");
  for (const [path, mode] of [
    [shown, 0o755],
    [join(shown, "open"), 0o777],
    [join(shown, "closed"), 0o700],
  ] as const) {
    mkdirSync(path);
    chmodSync(path, mode);
  }
  writeFileSync(join(shown, "plain"), "plain");
  chmodSync(join(shown, "plain"), 0o666);
  writeFileSync(join(shown, "root-only"), secret, { mode: 0o600 });

  let touched = 0;
  const servers = [createServer(), createServer(), createServer()] as const;
  for (const server of servers) {
    server.on("connection", (socket) => {
      touched += 1;
      socket.destroy();
    });
  }
  const [tcp, unix, abstract] = servers;
  await listening(tcp, { port: 0, host: "127.0.0.1" });
  await listening(unix, { path: join(folder, "socket") });
  chmodSync(join(folder, "socket"), 0o777);
  await listening(abstract, { path: `\0${marker}` }).catch(() => {}); // not every Node can
  const canary = spawn("sleep", ["900"], { stdio: "ignore" });
  const address = tcp.address();
  const facts: HostFacts = {
    pid: canary.pid ?? 0,
    port: typeof address === "object" && address ? address.port : 0,
    folder,
    root: process.getuid?.() === 0,
    secret,
    marker,
    name: hostname(),
  };
  return {
    facts,
    async harm() {
      const here = hostname();
      return [
        touched > 0 ? "a server of the host was reached" : "",
        isGone(canary) ? "a process of the host was ended" : "",
        [join(folder, "open"), join(shown, "open")].some((each) => readdirSync(each).length > 0)
          ? "a folder of the host was written to"
          : "",
        readFileSync(join(folder, "secret"), "utf8") === secret ? "" : "a file of the host was changed",
        readFileSync(join(shown, "plain"), "utf8") === "plain" ? "" : "a shown file was changed",
        here === facts.name ? "" : "the host has another name",
        (await outlived(marker)) ? "a process outlived its box" : "",
      ].filter(Boolean);
    },
    close() {
      canary.kill("SIGKILL");
      for (const server of servers) server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function listening(server: Server, where: { port: number; host: string } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => resolve());
  });
}

function isGone({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Whether a process has the marker among its arguments. */
async function outlived(marker: string): Promise<boolean> {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes(marker);
      } catch {
        return false; // it has ended in between
      }
    });
}
