import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { childEnvironment, readConfig } from "../../src/app/config.ts";
import type { System } from "../../src/app/launcher.ts";
import { packageRoot } from "../../src/app/paths.ts";
import { type Goal, judgeGoal } from "../goals.ts";
import { rounded } from "../numbers.ts";
import { openGround } from "./ground.ts";
import type { At } from "./part.ts";
import { memoryOf } from "./usage.ts";

const mib = 1_048_576;
const settleMs = 2000;
const Ran = z.object({ report: z.object({ verdict: z.string(), sandbox_ms: z.number() }).nullable() });
type Watched = "gateway" | "worker" | "sandbox" | "client";

/**
 * A repository of many files through `dagent run`: built (all files are counted and summed) and tested. Of each process of
 * ours, the most memory it held above what it held before; of the command, above what it takes for a project of one file.
 */
export async function measureLarge(
  { files, megabytes }: { files: number; megabytes: number },
  { progress, signal }: At,
) {
  const folder = await mkdtemp(join(tmpdir(), "dagent-large-"));
  const recording = {
    recorded_from: "nobody",
    exchanges: [{ when: { includes: ["nothing"], turn: 1 }, answer: nothing }],
  };
  const ground = await openGround(recording, progress);
  try {
    await makeSmall(join(folder, "small"));
    const bytes = await makeLarge(join(folder, "large"), { files, bytes: megabytes * mib });
    progress(`${files} files, ${rounded(bytes / mib)} MiB`);
    await runThrough(ground.system, join(folder, "small"), signal); // what is loaded with its first use is loaded here
    const small = await runThrough(ground.system, join(folder, "small"), signal);
    const large = await runThrough(ground.system, join(folder, "large"), signal);
    const grown: Record<Watched, number> = {
      ...large.grown,
      client: large.clientPeak - small.clientPeak,
    };
    const report = {
      files,
      mib: rounded(bytes / mib),
      verdict: large.verdict,
      seconds: rounded(large.ms / 1000),
      sandbox_ms: large.sandboxMs,
      grown_mib: Object.fromEntries(Object.entries(grown).map(([who, more]) => [who, rounded(more / mib)])),
    };
    return { report, goals: goalsOf({ verdict: large.verdict, most: Math.max(...Object.values(grown)) / mib }) };
  } finally {
    await ground.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const nothing = { text: "nothing", model: "nobody", tokens: null };

export function goalsOf(found: { verdict: string | null; most: number } | null): Goal[] {
  const green = found && (found.verdict === "pass" ? 1 : 0);
  return [
    judgeGoal({ name: "a repository of 20,000 files and 200 MB is built and tested", unit: "", least: 1 }, green),
    judgeGoal({ name: "what any process of ours grows by meanwhile", unit: "MiB", most: 95.36 }, found?.most ?? null), // 100 MB
  ];
}

/** `dagent run` of a folder, as a process of its own, with an eye on the memory of everybody. */
async function runThrough(system: System, folder: string, signal: AbortSignal) {
  const pids = (["gateway", "worker", "sandbox"] as const).map((role) => [role, system.pid(role) ?? 0] as const);
  await new Promise((resolve) => setTimeout(resolve, settleMs)); // the last run's garbage is not this one's
  const before = new Map(pids.map(([role, pid]) => [role, memoryOf(pid).now]));
  for (const [, pid] of pids) await writeFile(`/proc/${pid}/clear_refs`, "5"); // the peak begins anew (proc(5))
  const began = performance.now();
  const env = { ...childEnvironment(readConfig(), {}), DAGENT_URL: system.url };
  const child = spawn(process.execPath, [join(packageRoot, "dist/src/cli/main.js"), "run", folder, "--json"], {
    env,
    stdio: ["ignore", "pipe", "ignore"],
    signal,
  });
  let clientPeak = 0;
  const watching = setInterval(() => {
    clientPeak = Math.max(clientPeak, memoryOf(child.pid ?? 0).peak);
  }, 20);
  const said: Buffer[] = [];
  child.stdout.on("data", (piece: Buffer) => said.push(piece));
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve());
  }).finally(() => clearInterval(watching));
  const ms = performance.now() - began;
  const { report } = Ran.parse(JSON.parse(Buffer.concat(said).toString() || "{}"));
  const grown = Object.fromEntries(pids.map(([role, pid]) => [role, memoryOf(pid).peak - (before.get(role) ?? 0)]));
  return {
    ms,
    clientPeak,
    verdict: report?.verdict ?? null,
    sandboxMs: report?.sandbox_ms ?? null,
    grown: z.record(z.enum(["gateway", "worker", "sandbox"]), z.number()).parse(grown),
  };
}

const manifest = JSON.stringify({ type: "module", scripts: { build: "node build.mjs", test: "node --test" } });

async function makeSmall(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), manifest);
  await writeFile(join(folder, "build.mjs"), "");
  await writeFile(join(folder, "one.test.js"), `import { test } from "node:test"; test("one", () => {});\n`);
}

/** Files of about the same size in folders of a hundred, each with a text of its own. Answers how many bytes there are. */
async function makeLarge(folder: string, { files, bytes }: { files: number; bytes: number }): Promise<number> {
  const each = Math.max(64, Math.floor(bytes / files));
  let sum = 0;
  for (let n = 0; n < files; n += 1) {
    const place = join(folder, "src", `part${Math.floor(n / 100)}`);
    if (n % 100 === 0) await mkdir(place, { recursive: true });
    const line = `export const value${n} = "${n} ${"abcdefghij".repeat(4)}";\n`;
    const text = line.repeat(Math.ceil(each / line.length)).slice(0, each);
    sum += text.length;
    await writeFile(join(place, `file${n}.txt`), text);
  }
  await writeFile(join(folder, "package.json"), manifest);
  await writeFile(join(folder, "build.mjs"), builder);
  await writeFile(
    join(folder, "sum.test.js"),
    `import assert from "node:assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
test("all that was sent is there", () => assert.deepEqual(JSON.parse(readFileSync("sum.json", "utf8")), { files: ${files}, bytes: ${sum} }));
`,
  );
  return sum;
}

const builder = `import { readdirSync, readFileSync, writeFileSync } from "node:fs";
let files = 0;
let bytes = 0;
for (const name of readdirSync("src", { recursive: true })) {
  if (!name.endsWith(".txt")) continue;
  files += 1;
  bytes += readFileSync("src/" + name).length;
}
writeFileSync("sum.json", JSON.stringify({ files, bytes }));
`;
