import type { Command } from "commander";

/** The options that say what an agent is. */
export function agentFields(command: Command): Command {
  return command
    .option("--file <file>", "the agent as JSON, as the API takes it; - is standard input")
    .option("--role <service.role>", "whose work it takes; default: executor.execute")
    .option("--intents <list>", "what it does: code.generate,code.buildtest")
    .option("--capabilities <list>", "what work may ask for by name")
    .option("--languages <list>", "it works in; default: any")
    .option("--reach <kind>", "builtin, openai, http, a2a or mcp")
    .option("--target <name>", "the role of a builtin, the model of openai, the tool of mcp")
    .option("--url <url>", "where it listens")
    .option("--secret <NAME>", "the variable of the workers that holds its secret: AGENT_…")
    .option("--probe <url>", "asked every 3 s: 2xx says that it lives; default: it sends its own heartbeats")
    .option("--capacity <n>", "pieces of work at one time")
    .option("--price-per-call <usd>", "what one call costs")
    .option("--price-per-1k <usd>", "what 1,000 tokens cost")
    .option("--tenants <list>", "it works for; default: all")
    .option("--canary-of <id[@version]>", "whose canary it is; empty: nobody's")
    .option("--canary-pct <n>", "its share of the keys, in percent")
    .option("--shadow", "it works on copies; its answers are compared and never returned")
    .option("--live", "its answers are returned")
    .option("--enable", "it may be chosen")
    .option("--disable", "it may not be chosen")
    .option("--json", "print JSON, for programs");
}

export const agentExamples = `
An agent behind HTTP, and its next version on one request in ten:
  dagent agents add fixer@1 --intents code.generate --reach http --url https://fixer.example/work --secret AGENT_FIXER
  dagent agents add fixer@2 --intents code.generate --reach http --url https://next.fixer.example/work \\
    --secret AGENT_FIXER --canary-of fixer --canary-pct 10`;
