#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { benchmarks } from "../../bench/benchmarks.ts";
import { evaluations } from "../../bench/evaluations.ts";
import { exitCodeOf, exitCodes } from "../app/child.ts";
import { version } from "../app/paths.ts";
import { asFailure } from "../contracts/failure.ts";
import { agentExamples, agentFields } from "./fields.ts";
import { execHelp, kitHelp, measuredHelp, runHelp } from "./help.ts";
import { operatorCommands } from "./operators.ts";
import { json, note } from "./output.ts";

const program = new Command("dagent")
  .description("Distributed AI agents on Postgres: durable, explained, sandboxed.")
  .version(version)
  .enablePositionalOptions() // what stands behind a command below another is that command's
  .exitOverride()
  .showHelpAfterError("(dagent --help lists the commands)")
  .addHelpText(
    "after",
    `
Exit codes: 0 well, 1 it ended badly, 2 wrong usage, 69 something needed is not there, 70 a bug, 78 wrong configuration.
Settings come from the environment and from .env; .env.example explains them.`,
  );

/** A command: its code is loaded when it is called, so that a long-running role carries nothing it does not use. */
function command(text: string, description: string): Command {
  return program.command(text).description(description).option("--json", "print JSON, for programs");
}

command("up", "start everything here: database, gateway, worker, sandbox").action(async (options) => {
  await (await import("./commands/up.ts")).up(options);
});
command("gateway", "start the gateway alone").action(async () => {
  await (await import("./commands/roles.ts")).gateway();
});
command("worker", "start a worker alone").action(async () => {
  await (await import("./commands/roles.ts")).worker();
});
const sandbox = command("sandbox", "start a sandbox worker alone: it dials the workers of SANDBOX_HUBS");
sandbox.enablePositionalOptions();
sandbox.action(async () => {
  await (await import("./commands/roles.ts")).sandbox();
});
sandbox
  .command("worker")
  .description("the same as `dagent sandbox`")
  .action(async () => {
    await (await import("./commands/roles.ts")).sandbox();
  });
sandbox
  .command("exec")
  .description("carry out one run from standard input in a box of this machine")
  .option("--json", "print JSON, for programs")
  .option("--keep-open", "take one run a line, and answer in that order")
  .option("--slots <n>", "runs at one time; default: SANDBOX_SLOTS")
  .addHelpText("after", execHelp)
  .action(async (options) => {
    await (await import("./commands/exec.ts")).exec(options);
  });
sandbox
  .command("kit")
  .description("try hostile programs, ours and those of a kit, and say which were contained")
  .argument("[program...]", "only these; default: all")
  .option("--json", "print JSON, for programs")
  .option("--kit <folder>", "of strangers' programs", "../shared/sandbox-kit")
  .option("--plain <uid>", "the plain user to be as well, when called as root", "65534")
  .addHelpText("after", kitHelp)
  .action(async (programs: string[], options) => {
    await (await import("./commands/kit.ts")).kit(programs, options);
  });
command("migrate", "bring the database to the newest schema").action(async (options) => {
  await (await import("./commands/migrate.ts")).migrateDatabase(options);
});
command("run", "build and test a local project in the sandbox; the exit code is the verdict")
  .argument("[path]", "its folder, or a git bundle of it", ".")
  .option("--build <command>", "how it is built; default: found from its files")
  .option("--test <command>", "how it is tested; default: found from its files")
  .option("--patch <file>", "a diff to apply first, as `git diff --binary` writes it; - is standard input")
  .option("--language <language>", "node, python, shell or a profile of yours; default: found from its files")
  .option("--timeout <seconds>", "for all of it; never more than sandbox_limits.json allows")
  .addHelpText("after", runHelp)
  .action(async (path: string, options) => {
    await (await import("./commands/run.ts")).run(path, options);
  });
command("chat", "ask, and watch the answer come about")
  .argument("[message...]", "what you want; may be left out with --dir")
  .option("-c, --collection <name>", "of documents to look in")
  .option("-d, --dir <folder>", "files to build, test or change")
  .option("-i, --intent <intent>", "chat, rag.answer, code.buildtest or code.generate")
  .option("--build <command>", "how the files are built; default: found from them")
  .option("--test <command>", "how they are tested; default: found from them")
  .option("--language <language>", "node, python or shell; default: found from the files")
  .option("--key <key>", "an idempotency key: asking twice is asking once")
  .action(async (words: string[], options) => {
    await (await import("./commands/chat.ts")).chat(words.join(" "), options);
  });
command("index", "read documents (Markdown, plain text) into a collection")
  .argument("<path...>", "files or folders")
  .option("-c, --collection <name>", "its name", "default")
  .action(async (paths: string[], options) => {
    await (await import("./commands/documents.ts")).indexDocuments(paths, options);
  });
command("budgets", "what is spent, put aside and allowed, today and this month").action(async (options) => {
  await (await import("./commands/budgets.ts")).budgets(options);
});
const circuits = command("circuits", "lanes that are left alone because too much failed there");
circuits.enablePositionalOptions();
circuits.action(async (options) => {
  await (await import("./commands/circuits.ts")).circuits(null, options);
});
for (const verb of ["open", "close"] as const) {
  circuits
    .command(`${verb} <key>`)
    .description(verb === "open" ? "leave a lane (service.role.shard) alone" : "let work flow on it again")
    .option("--reason <text>", "kept with the event", "by hand")
    .option("--json", "print JSON, for programs")
    .action(async (key: string, options) => {
      await (await import("./commands/circuits.ts")).circuits({ verb, key, reason: options.reason }, options);
    });
}
command("cancel", "call a request off: what waits is ended, what runs is told to stop")
  .argument("<trace>", "its trace id")
  .action(async (traceId: string, options) => {
    await (await import("./commands/cancel.ts")).cancel(traceId, options);
  });
command("trace", "show what a request caused, as a waterfall")
  .argument("<trace_id>", "as `dagent chat` printed it")
  .action(async (traceId: string, options) => {
    await (await import("./commands/trace.ts")).trace(traceId, options);
  });
command("explain", "say whom the orchestrator chose for a request, and why not another")
  .argument("<trace_id>", "as `dagent chat` printed it")
  .action(async (traceId: string, options) => {
    await (await import("./commands/explain.ts")).explain(traceId, options);
  });
command("what-if", "make the recorded decisions again with other weights, or without somebody")
  .option(
    "--weights <file>",
    "other weights as JSON, a part of `default`, or a whole orchestrator.json; - is standard input",
  )
  .option("--without <list>", "agents that would not be there")
  .option("--window <seconds>", "how far back", "86400")
  .option("--limit <n>", "decisions, the latest", "2000")
  .option("--tenant <tenant>", "its decisions only")
  .option("--intent <intent>", "decisions for it only")
  .action(async (options) => {
    await (await import("./commands/whatif.ts")).whatIf(options);
  });
command("key", "make an access key (needs ADMIN_TOKEN or an admin key)")
  .argument("<name>", "whose key it is")
  .option("--kind <kind>", "tenant, operator, admin or sandbox", "tenant")
  .option("--tenant <tenant>", "the tenant it opens", "local")
  .action(async (name: string, options) => {
    await (await import("./commands/key.ts")).key(name, options);
  });
const agents = command("agents", "who can do which work: list, add, set, remove, promote, pause, resume");
agents
  .command("list", { isDefault: true })
  .description("everybody registered (the default)")
  .option("--json", "print JSON, for programs")
  .action(async (_, command) => {
    await (await import("./commands/agents.ts")).listAgents(command.optsWithGlobals());
  });
agentFields(
  agents.command("add").description("register somebody new").argument("<id@version>", "as nobody is called yet"),
)
  .addHelpText("after", agentExamples)
  .action(async (name: string, _, command) => {
    await (await import("./commands/agents.ts")).addAgent(name, command.optsWithGlobals());
  });
agentFields(agents.command("set").description("change what is named").argument("<id[@version]>", "who"))
  .option("--reason <text>", "kept with the change")
  .action(async (name: string, _, command) => {
    await (await import("./commands/agents.ts")).setAgent(name, command.optsWithGlobals());
  });
agents
  .command("remove")
  .description("take an agent out, with its record")
  .argument("<id[@version]>", "who")
  .option("--json", "print JSON, for programs")
  .action(async (name: string, _, command) => {
    await (await import("./commands/agents.ts")).removeAgent(name, command.optsWithGlobals());
  });
agents
  .command("promote")
  .description("put a canary in the place of its stable")
  .argument("<id[@version]>", "who")
  .option("--force", "although its test has not said that it is not worse")
  .option("--json", "print JSON, for programs")
  .action(async (name: string, _, command) => {
    await (await import("./commands/agents.ts")).promoteAgent(name, command.optsWithGlobals());
  });
for (const [word, paused, description] of [
  ["pause", true, "lay an agent to rest: it is not chosen until it is resumed"],
  ["resume", false, "wake an agent; the test of a canary begins anew"],
] as const) {
  agents
    .command(word)
    .description(description)
    .argument("<id[@version]>", "who")
    .option("--reason <text>", "kept with the change")
    .option("--json", "print JSON, for programs")
    .action(async (name: string, _, command) => {
      await (await import("./commands/agents.ts")).restAgent(name, command.optsWithGlobals(), paused);
    });
}
command("schemas", "write the JSON Schemas of artifacts, requests and configuration")
  .option("--out <folder>", "where to", "schemas")
  .action(async (options) => {
    await (await import("./commands/schemas.ts")).writeSchemas(options);
  });
command("doctor", "say what is missing on this machine, and how to get it").action(async (options) => {
  await (await import("./commands/doctor.ts")).doctor(options);
});
command("setup", "install the system packages that are missing (bubblewrap)")
  .option("--dry-run", "say what would be done, and do nothing")
  .action(async (options) => {
    await (await import("./commands/setup.ts")).setup(options);
  });
command("scenario", "walk an end-to-end story on a system of its own")
  .argument("<name>", "full")
  .option("--out <folder>", "where its report goes; default: artifacts/scenario of DATA_DIR")
  .action(async (name: string, options) => {
    await (await import("./commands/scenario.ts")).scenario(name, options);
  });
command("chaos", "harm a bus of its own, then check that it lost nothing and did nothing twice")
  .option("--seconds <n>", "of harm; draining comes on top", "60")
  .option("--seed <n>", "the same seed does the same harm", "1")
  .option("--workers <n>", "worker processes", "4")
  .option("--plant <bug>", "plant a bug that the check must find: no-fence")
  .action(async (options) => {
    await (await import("./commands/chaos.ts")).chaosRun(options);
  });
const evaluate = program.command("eval").description("hold the system against recorded answers whose ends are known");
evaluate.enablePositionalOptions();
evaluate
  .command("code")
  .description("recorded programs go the whole way; each ends with a verdict")
  .requiredOption("--tasks <file>", "JSON lines with task_id or name, prompt, entry_point, test and solution; .gz too")
  .option("--cassette <file>", "answers to play instead of the recorded solutions")
  .option("--canonical", "take each task's own solution instead of the recorded one")
  .option("--in-flight <n>", "requests at one time", "4")
  .option("--beside-plain", "run the same programs as plain processes in between, and compare")
  .option("--json", "print JSON, for programs")
  .addHelpText("after", "\nExit codes: 0 all were asked, whatever their verdicts, 2 wrong usage, 69 no sandbox here.")
  .action(async (options) => {
    await (await import("./commands/evalcode.ts")).evalCode(options);
  });
evaluate
  .command("repair")
  .description("right programs are made wrong, and must be green after one repair")
  .requiredOption("--tasks <file>", "as for `eval code`; the tasks' own solutions are taken")
  .option("--count <n>", "changed programs; some of them turn out right", "400")
  .option("--seed <n>", "the same seed makes the same programs", "1")
  .option("--in-flight <n>", "requests at one time", "4")
  .option("--json", "print JSON, for programs")
  .addHelpText("after", "\nExit codes: 0 all as it must be, 1 something was not, 2 wrong usage, 69 no sandbox here.")
  .action(async (options) => {
    await (await import("./commands/evalrepair.ts")).evalRepair(options);
  });
evaluate
  .command("live")
  .description("one wish goes through the whole system to the model of the environment; without one: not run")
  .option("--json", "print JSON, for programs")
  .addHelpText("after", "\nExit codes: 0 green or not run, 1 anything else, 69 no sandbox here.")
  .action(async (options) => {
    await (await import("./commands/evallive.ts")).evalLive(options);
  });
const measures = program
  .command("bench")
  .description("measure something on this machine, and hold it against what was promised");
for (const [group, list] of [
  [evaluate, evaluations],
  [measures, benchmarks],
] as const) {
  for (const benchmark of list) {
    const measure = group.command(benchmark.name).description(benchmark.about);
    measure.option("--json", "print JSON, for programs");
    for (const { flags, about, fallback } of benchmark.options) measure.option(flags, about, fallback);
    measure.addHelpText("after", measuredHelp);
    measure.action(async (options) => {
      await (await import("./commands/bench.ts")).bench(benchmark, options);
    });
  }
}

operatorCommands(command);

try {
  await program.parseAsync();
} catch (thrown) {
  process.exitCode = report(thrown);
}

function report(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const failure = asFailure(thrown);
  if (process.argv.includes("--json")) json({ error: { code: failure.code, message: failure.message } });
  note(`dagent: ${failure.message}`);
  if (failure.code === "unauthorized")
    note("set DAGENT_KEY to a key, or ADMIN_TOKEN to the one the gateway was started with");
  if (failure.code === "internal" && failure.cause instanceof Error) note(failure.cause.stack ?? "");
  return exitCodeOf(failure);
}
