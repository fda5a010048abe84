import { createHash } from "node:crypto";
import type { Tools } from "../../bus/handler.ts";
import { textArtifact } from "../../contracts/artifact.ts";
import type { InstallReport } from "../../contracts/code.ts";
import { asFailure, Failure } from "../../contracts/failure.ts";
import type { Message } from "../../contracts/message.ts";
import type { RunRequest, RunResult } from "../../contracts/sandbox.ts";
import type { Work, Workspace } from "../../contracts/work.ts";
import { bytesOf, sizeOf, type Tree } from "../../rules/tree.ts";
import { type InstallPlan, installTexts, planInstall, remedyIn } from "./install.ts";
import { liveLog } from "./live.ts";
import { logOf } from "./report.ts";
import { keepViolation, passOn, violationOf } from "./violation.ts";

/** What became of a project's dependencies. */
export type Installed = {
  uses: { key: string } | null; // what its steps are to use; null: nothing was installed
  report: InstallReport | null; // null: there was nothing to install
  failure: Failure | null; // `install_failed`: there was, and it is not there
};

type Asked = { tree: Tree; language: string; limits: Work["limits"]; tools: Tools };

const mostRead = 16_777_216; // bytes of one lockfile

/**
 * Installs what a project names, in a run of its own, unless a sandbox worker keeps it already. What cannot be installed is
 * told, not thrown: the tests may run without. Throws `sandbox_violation`, `sandbox_unavailable` and `worker_lost` as any
 * run does.
 */
export async function installDependencies(
  message: Message,
  { tree, language, limits, tools }: Asked,
): Promise<Installed> {
  const plan = planInstall(language, tree.files.keys(), await textsOf(tree));
  if (plan === null) return { uses: null, report: null, failure: null };
  const { manager } = plan;
  const failed = async (wallMs: number, code: number | null, why: string): Promise<Installed> => {
    await tools.status("dependencies could not be installed", { install: { manager, failed: why } });
    return {
      uses: null,
      report: { manager, cached: false, wall_ms: wallMs, code },
      failure: new Failure("install_failed", `the dependencies could not be installed: ${why}`, { manager, code }),
    };
  };
  if ("refused" in plan) return failed(0, null, plan.refused);

  const key = await keyOf(plan, tree);
  const facts = { manager, command: plan.command, cached: false };
  await tools.status("installing dependencies", { install: facts });
  const result = await inSandbox(message, { plan, key, tree, limits, tools });
  if (result instanceof Failure) return failed(0, null, result.message);
  const [step] = result.steps;
  const wallMs = step?.wallMs ?? 0;
  const log = step ? logOf(step) : "";
  if (step) await tools.keep({ ...textArtifact("build-test", "install.log", log), class: result.class });
  if (result.reason !== null) {
    await keepViolation(message, result, tools);
    throw violationOf(result);
  }
  const { kept } = result;
  if (kept?.cached) await tools.status("dependencies from the cache", { install: { ...facts, cached: true } });
  if (kept?.done) {
    const report = { manager, cached: kept.cached, wall_ms: wallMs, code: 0 };
    return { uses: { key }, report, failure: null };
  }
  const code = step?.code ?? null;
  const why = kept?.why ?? `${manager} ended with ${step?.signal ?? code}; ${remedyIn(manager, { code, log })}`;
  return failed(wallMs, code, why);
}

type Installing = { plan: InstallPlan; key: string; tree: Tree; limits: Work["limits"]; tools: Tools };

/** The run; a Failure for one that no sandbox can carry out, whoever is asked. */
async function inSandbox(
  message: Message,
  { plan, key, tree, limits, tools }: Installing,
): Promise<RunResult | Failure> {
  const { manager, command, folder } = plan;
  const live = liveLog(tools);
  const script = `[ -n "$https_proxy" ] || export npm_config_offline=true PIP_NO_INDEX=1\n${command}`;
  const request: RunRequest = {
    traceId: message.traceId,
    tenant: message.tenant,
    profile: manager,
    intent: "code.install",
    files: Object.fromEntries([...tree.files].filter(([path]) => plan.files.includes(path))),
    steps: [{ name: "install", argv: ["sh", "-c", script] }],
    collect: [],
    keep: { key, folder },
    ...(limits && { limits }),
  };
  try {
    return await tools.sandbox.run(request, { signal: tools.signal, onOutput: live.hear });
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.code === "invalid_request") return failure;
    return passOn(message, failure, tools);
  } finally {
    await live.end();
  }
}

/** Everything that decides what an install leaves: a lockfile that is a byte different has other dependencies. */
async function keyOf({ manager, command, files }: InstallPlan, tree: Tree): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([manager, command]));
  for (const path of files) {
    const file = tree.files.get(path) ?? new Uint8Array();
    hash.update(JSON.stringify([path, sizeOf(file)]));
    if (file instanceof Uint8Array) hash.update(file);
    else for await (const piece of file.open()) hash.update(piece);
  }
  return hash.digest("hex");
}

async function textsOf(tree: Tree): Promise<Workspace> {
  const texts: Workspace = {};
  for (const [path, file] of tree.files) {
    if (!installTexts.test(path) || sizeOf(file) > mostRead) continue;
    texts[path] = Buffer.from((await bytesOf(tree, path)) ?? []).toString("utf8");
  }
  return texts;
}
