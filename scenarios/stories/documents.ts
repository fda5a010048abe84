import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { askThrough, endOf, must, type Stage, type Story } from "../story.ts";
import { questions } from "./questions.ts";

/** The manual of Fastify, which nobody here wrote: indexed, then ten questions with citations to the right section. */
export const documents: Story = {
  name: "a stranger's manual answers ten questions",
  needsSandbox: false,
  async walk(stage) {
    const folder = join(stage.packageFolder("fastify"), "docs");
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".md"));
    await Promise.all(files.map((id) => indexOne(stage, folder, id)));

    const traces: string[] = [];
    const wrong: string[] = [];
    for (const { question, document, section } of questions) {
      const { trace } = await askThrough(stage, { message: question, intent: "rag.answer", collection: "fastify" });
      const cited = trace.answer?.citations ?? [];
      const right = cited.some((one) => one.document_id === document && one.section.includes(section));
      if (!right)
        wrong.push(`"${question}" cites ${cited.map((one) => `${one.document_id} ${one.section}`).join(" | ")}`);
      traces.push(trace.trace_id);
    }
    must(wrong.length === 0, `every answer cites the right section; wrong: ${wrong.join("; ")}`);
    return { saw: `${files.length} documents, ${questions.length} of ${questions.length} cited right`, traces };
  },
};

async function indexOne({ client }: Stage, folder: string, id: string): Promise<void> {
  const text = await readFile(join(folder, id), "utf8");
  const { trace_id } = await client.index({ collection: "fastify", documents: [{ id, text, format: "markdown" }] });
  const { trace } = await endOf(client, trace_id);
  must(trace.status === "done", `${id} is indexed: ${trace.failure?.message}`);
}
