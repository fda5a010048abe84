import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { SandboxClass } from "../../src/contracts/limits.ts";
import { type Door, openDoor, type User } from "./door.ts";
import { type HostWatch, watchHost } from "./host.ts";
import { judge, runOf } from "./judge.ts";
import { expected, type Hostile, hostile } from "./list.ts";

/** How one program fared. `ended` is "contained", "not contained" or "not run"; `saw` says what of it. */
export type Row = {
  set: "ours" | "kit";
  program: string;
  ended: "contained" | "not contained" | "not run";
  reason: string | null;
  ms: number;
  saw: string;
};

/** All programs in one class, as one user. */
export type Round = { user: string; class: string | null; rows: Row[] };

export type KitOptions = {
  main: string; // the built command
  folder: string; // of the programs beside this file
  kit: string; // of strangers' programs; one that is not there is not run
  only: string[]; // names of programs; empty: all
  env: Record<string, string>; // for the door
  tell(row: Row): void;
};

/** Runs strangers' programs and ours through the door, as `user` or as whoever calls. */
export async function runKit(options: KitOptions, name: string, user?: User): Promise<Round> {
  const rows: Row[] = [];
  const add = (row: Row) => {
    rows.push(row);
    options.tell(row);
  };
  const host = await watchHost();
  const env = { ...options.env, HOSTILE_SECRET: host.facts.secret };
  const door = openDoor(options.main, { ...(user && { user }), env });
  try {
    const first = await door.run({ argv: ["true"], files: {}, limits: {}, collect: [] });
    await runOurs(options, { door, host, class: first.class, add });
    await runStrangers(options, { user, class: first.class, add });
    return { user: name, class: first.class, rows };
  } catch (thrown) {
    add(notRun("ours", "all", thrown instanceof Error ? thrown.message : String(thrown)));
    return { user: name, class: null, rows };
  } finally {
    await door.close();
    host.close();
  }
}

type OurStage = { door: Door; host: HostWatch; class: SandboxClass; add: (row: Row) => void };

async function runOurs({ folder, only }: KitOptions, { door, host, class: name, add }: OurStage): Promise<void> {
  for (const one of hostile) {
    if (only.length > 0 && !only.includes(one.program)) continue;
    const promise = expected(one, name);
    if (!Array.isArray(promise)) {
      add(notRun("ours", one.program, promise.notPromised));
      continue;
    }
    const began = performance.now();
    const { reason, wrong } = await tryOne(one, { door, folder, host });
    const ms = Math.round(performance.now() - began);
    const ended = wrong.length === 0 ? "contained" : "not contained";
    add({ set: "ours", program: one.program, ended, reason, ms, saw: wrong.join("; ") });
  }
}

type Stage = { door: Door; folder: string; host: HostWatch };

async function tryOne(one: Hostile, { door, folder, host }: Stage) {
  try {
    const answer = await door.run(runOf(one, folder, host.facts));
    return { reason: answer.reason, wrong: await judge(one, answer, host) };
  } catch (thrown) {
    return { reason: null, wrong: [thrown instanceof Error ? thrown.message : String(thrown)] };
  }
}

/** Without the kernel's account the limit of processes holds, but who was refused and has gone is not always seen. */
const unnamed = "reason null, wanted pids";

/** The kit's own harness calls an adapter of ours, which speaks to a door of its own. */
type TheirStage = { user: User | undefined; class: SandboxClass; add: (row: Row) => void };

async function runStrangers({ kit, only, main, env }: KitOptions, { user, class: name, add }: TheirStage) {
  const harness = join(kit, "run-kit.mjs");
  if (!existsSync(harness)) return add(notRun("kit", "all", `there is no ${harness}: say where with --kit`));
  const known: string[] = JSON.parse(readFileSync(join(kit, "manifest.json"), "utf8")).programs.map(
    ({ id }: { id: string }) => id,
  );
  const ids = only.filter((id) => known.includes(id));
  if (only.length > 0 && ids.length === 0) return;
  const scratch = mkdtempSync(join(tmpdir(), "kit-"));
  chmodSync(scratch, 0o755);
  try {
    const adapter = join(scratch, "adapter.mjs");
    const settings = JSON.stringify({ main, env, user });
    const source = new URL(import.meta.url.endsWith(".ts") ? "./adapter.ts" : "./adapter.js", import.meta.url).href;
    writeFileSync(
      adapter,
      `import { openAdapter } from ${JSON.stringify(source)};\nexport const { run, cleanup } = openAdapter(${settings});\n`,
    );
    const results = join(scratch, "results.json");
    const child = spawn(process.execPath, [harness, adapter, ...ids], {
      cwd: scratch,
      env: { ...env, SBXKIT_OUT: results },
      stdio: ["ignore", "pipe", "ignore"],
    });
    createInterface({ input: child.stdout }).on("line", () => {});
    await new Promise((end) => child.once("close", end));
    const ran: { id: string; ok: boolean; reason: string | null; ms: number; bad: string[] }[] = existsSync(results)
      ? JSON.parse(readFileSync(results, "utf8"))
      : [];
    for (const { id, ok, reason, ms, bad } of ran) {
      const held = ok || (name === "rootless" && bad.join() === unnamed);
      const ended = held ? "contained" : "not contained";
      add({ set: "kit", program: id, ended, reason, ms, saw: ok || !held ? bad.join("; ") : "held, not seen in time" });
    }
    const lost = (ids.length > 0 ? ids : known).filter((id) => !ran.some((row) => row.id === id));
    for (const id of lost)
      add({ ...notRun("kit", id, "the kit's harness did not come to it"), ended: "not contained" });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function notRun(set: Row["set"], program: string, saw: string): Row {
  return { set, program, ended: "not run", reason: null, ms: 0, saw };
}
