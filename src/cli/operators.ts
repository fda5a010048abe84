import type { Command } from "commander";
import { approvalsHelp, downHelp, tracesHelp } from "./help.ts";

type Add = (text: string, description: string) => Command;

/** The commands for whoever watches over a system: what happened lately, what waits for a person, and its end. */
export function operatorCommands(command: Add): void {
  command("traces", "the latest requests, and how each stands")
    .option("--state <state>", "open, waiting (for a person), done or failed; default: any")
    .option("--intent <intent>", "rag.answer, code.buildtest, …; default: any")
    .option("--tenant <tenant>", "of a tenant that is not your key's; for operators")
    .option("--before <cursor>", "the next page, as the page before named it")
    .option("--limit <n>", "how many", "20")
    .addHelpText("after", tracesHelp)
    .action(async (options) => {
      await (await import("./commands/traces.ts")).traces(options);
    });

  command("down", "stop the system that runs in the data folder")
    .addHelpText("after", downHelp)
    .action(async (options) => {
      await (await import("./commands/down.ts")).down(options);
    });

  const approvals = command("approvals", "work that waits for a person: list, show, approve, refuse");
  approvals.addHelpText("after", approvalsHelp);
  approvals
    .command("list", { isDefault: true })
    .description("what waits (the default)")
    .option("--state <state>", "waiting, approved, refused, expired, cancelled or all", "waiting")
    .option("--tenant <tenant>", "of this tenant only")
    .option("--before <id>", "the next page, as the page before named it")
    .option("--limit <n>", "how many", "50")
    .option("--json", "print JSON, for programs")
    .addHelpText("after", approvalsHelp)
    .action(async (_, command) => {
      await (await import("./commands/approvals.ts")).listApprovals(command.optsWithGlobals());
    });
  approvals
    .command("show")
    .description("all that is asked: request, agent and why, sizes, estimated cost, the change")
    .argument("<id>", "as `dagent approvals` lists it")
    .option("--json", "print JSON, for programs")
    .addHelpText("after", approvalsHelp)
    .action(async (id: string, _, command) => {
      await (await import("./commands/approvals.ts")).showApproval(id, command.optsWithGlobals());
    });
  for (const decision of ["approve", "refuse"] as const) {
    const answer = approvals
      .command(decision)
      .description(decision === "approve" ? "let it go on" : "end its trace; whoever asked reads why")
      .argument("<id>", "as `dagent approvals` lists it")
      .option("--json", "print JSON, for programs")
      .addHelpText("after", approvalsHelp);
    const text = "kept with the answer";
    if (decision === "approve") answer.option("--reason <text>", text, "");
    else answer.requiredOption("--reason <text>", text);
    answer.action(async (id: string, _, command) => {
      await (await import("./commands/approvals.ts")).answerApproval(id, { ...command.optsWithGlobals(), decision });
    });
  }
}
