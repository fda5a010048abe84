import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ended, full, walk } from "../../../scenarios/full.ts";
import { carefulTenant } from "../../../scenarios/stories/approval.ts";
import type { Stage } from "../../../scenarios/story.ts";
import { exitCodes } from "../../app/child.ts";
import { type Config, readConfig } from "../../app/config.ts";
import { launch, type System } from "../../app/launcher.ts";
import { packageFolder, packageRoot, version } from "../../app/paths.ts";
import { loadPolicy } from "../../app/policies.ts";
import { openClient } from "../../client/client.ts";
import { Failure } from "../../contracts/failure.ts";
import { duration, json, note, paint, say, table } from "../output.ts";

/** `dagent scenario full`: walks the stories on a system of its own, on free ports, and reports how each ended. */
export async function scenario(name: string, options: { json?: boolean; out?: string }): Promise<void> {
  if (name !== "full") throw new Failure("invalid_request", `there is no scenario ${name}; there is: full`);
  const home = readConfig();
  const dataDir = await mkdtemp(join(tmpdir(), "dagent-scenario-"));
  await chmod(dataDir, 0o711); // as root: the database's account must get in
  const began = performance.now();

  note(paint("dim", `a system of its own in ${dataDir}`));
  const system = await launch(await ownConfig(home, dataDir), (text) => note(paint("dim", text)));
  const readyMs = Math.round(performance.now() - began);
  const stories = await walk(full, stageOf(system), (ended) =>
    note(`${mark(ended)}  ${ended.story}  ${ended.saw}`),
  ).finally(() => system.stop());

  const well = stories.every(({ ended }) => ended === "well");
  const report = {
    scenario: name,
    version,
    node: process.version,
    at: new Date().toISOString(),
    ended: well ? "well" : "badly",
    ready_ms: readyMs,
    ms: Math.round(performance.now() - began),
    sandbox: system.facts.sandbox,
    stories,
  };
  const folder = options.out ?? join(home.artifactsBase, "scenario");
  const file = join(folder, `${name}-${report.at.replaceAll(":", "")}.json`);
  await mkdir(folder, { recursive: true });
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);

  if (options.json) json({ ...report, report: file });
  else {
    say(
      table([
        ["story", "ended", "took", "saw"],
        ...stories.map((one) => [one.story, mark(one), duration(one.ms), one.saw]),
      ]),
    );
    say(
      `\n${count(stories, "well")} well, ${count(stories, "badly")} badly, ${count(stories, "not run")} not run in ${duration(report.ms)}; report: ${file}`,
    );
  }
  if (well) await rm(dataDir, { recursive: true, force: true });
  else note(`what it left: ${dataDir} (logs in ${join(dataDir, "log")})`);
  process.exitCode = well ? exitCodes.ok : exitCodes.failed;
}

/** Fresh data on free ports, the recorded model, and a short lease so that a killed worker costs little time. */
async function ownConfig(home: Config, dataDir: string): Promise<Config> {
  return {
    ...home,
    dataDir,
    configDir: await carefulConfigs(home.configDir, join(dataDir, "configs")),
    artifactsBase: join(dataDir, "artifacts"),
    databaseUrl: null,
    host: "127.0.0.1",
    port: 0,
    adminToken: null,
    requireAdminForNonGet: false,
    leaseMs: 2000,
    model: {
      ...home.model,
      baseUrl: null,
      name: null,
      cassettes: ["generate.json", "careless.json"].map((name) => join(packageRoot, "scenarios/cassettes", name)),
    },
  };
}

/** The operator's files, with a tenant whose work a person must approve. */
async function carefulConfigs(from: string, to: string): Promise<string> {
  await cp(from, to, { recursive: true });
  const policy = await loadPolicy(from, "approvals.json");
  const overrides = [...policy.overrides, { tenant: carefulTenant, ask: "always" }];
  await writeFile(join(to, "approvals.json"), JSON.stringify({ ...policy, overrides }));
  return to;
}

function stageOf(system: System): Stage {
  const { class: sandboxed } = system.facts.sandbox;
  const killRole = (role: "worker" | "sandbox") => {
    const pid = system.pid(role);
    if (pid !== null) process.kill(pid, "SIGKILL");
  };
  return {
    client: openClient({ url: system.url }),
    open: (token) => openClient({ url: system.url, token }),
    sandboxed: typeof sandboxed === "string" ? sandboxed : null,
    packageFolder,
    killWorker: () => killRole("worker"),
    killSandbox: () => killRole("sandbox"),
  };
}

function mark({ ended }: Ended): string {
  if (ended === "well") return paint("green", "well");
  return ended === "badly" ? paint("red", "badly") : paint("yellow", "not run");
}

function count(stories: Ended[], wanted: Ended["ended"]): number {
  return stories.filter(({ ended }) => ended === wanted).length;
}
