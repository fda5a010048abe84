import { asFailure } from "../contracts/failure.ts";
import { inspectHost } from "../sandbox/host.ts";
import { binariesPackage } from "../store/binaries.ts";
import { connect } from "../store/database.ts";
import { ping } from "../store/reach.ts";
import { type Config, readConfig } from "./config.ts";
import { loadPolicy, policyNames } from "./policies.ts";
import { runningSystem } from "./running.ts";

/** One thing that was looked at. `remedy` says how to get it, or what it would be good for. */
export type Finding = {
  what: string;
  state: "there" | "missing" | "optional"; // optional: not there, and not needed
  found: string;
  remedy: string | null;
};

/** Looks at everything the system needs on this machine; changes nothing. Throws `config_invalid`. */
export async function examine(): Promise<Finding[]> {
  const config = readConfig();
  return [
    nodeFinding(),
    await databaseFinding(config),
    ...sandboxFindings(),
    ...(await fileFindings(config)),
    modelFinding(config),
    await systemFinding(config),
  ];
}

function nodeFinding(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const enough = major > 20 || (major === 20 && minor >= 19);
  return finding("Node", enough, process.version, "Node 20.19 or newer is needed");
}

async function databaseFinding({ databaseUrl }: Config): Promise<Finding> {
  if (databaseUrl === null) {
    const folder = binariesPackage();
    const remedy = "npm left the optional dependencies out: install them, or set DATABASE_URL to a Postgres 15+";
    return finding("database", folder !== null, folder ? "embedded Postgres" : "none for this platform", remedy);
  }
  const sql = connect(databaseUrl, { max: 1 });
  try {
    await ping(sql, 3000);
    return finding("database", true, "DATABASE_URL answers", "");
  } catch (error) {
    return finding("database", false, asFailure(error).message, "start it, or correct DATABASE_URL");
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function sandboxFindings(): Finding[] {
  const { bwrap, cgroup, lacks } = inspectHost();
  const strict = lacks.strict.length === 0;
  const any = strict || lacks.rootless.length === 0;
  const remedy = "`dagent setup` installs it";
  return [
    finding("bubblewrap", bwrap !== null, bwrap ?? "not installed", remedy),
    finding("sandbox", any, strict ? "strict" : any ? "rootless" : "refuses work", lacks.rootless.join("; ")),
    strict
      ? finding("strict sandbox", true, `cgroup v${cgroup}`, "")
      : { what: "strict sandbox", state: "optional", found: "not here", remedy: lacks.strict.join("; ") },
  ];
}

async function fileFindings({ configDir }: Config): Promise<Finding[]> {
  return Promise.all(
    policyNames.map(async (name) => {
      try {
        await loadPolicy(configDir, name);
        return finding(name, true, configDir, "");
      } catch (error) {
        return finding(name, false, "refused", asFailure(error).message);
      }
    }),
  );
}

function modelFinding({ model }: Config): Finding {
  const name = model.name ?? (model.cassettes.join(", ") || null);
  if (name) return finding("model", true, name, "");
  const remedy = "code.generate needs one: set MODEL_BASE_URL and MODEL_NAME, or MODEL_CASSETTE (.env.example)";
  return { what: "model", state: "optional", found: "none", remedy };
}

async function systemFinding({ dataDir }: Config): Promise<Finding> {
  const running = await runningSystem(dataDir);
  if (running) return finding("system", true, `runs at ${running.url}`, "");
  return { what: "system", state: "optional", found: "not running here", remedy: "`dagent up` starts it" };
}

function finding(what: string, holds: boolean, found: string, remedy: string): Finding {
  return { what, state: holds ? "there" : "missing", found, remedy: holds ? null : remedy };
}
