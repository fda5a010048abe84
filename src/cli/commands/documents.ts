import { Failure } from "../../contracts/failure.ts";
import { readTexts } from "../files.ts";
import { follow } from "../follow.ts";
import { json, note, say } from "../output.ts";
import { openSystem } from "../system.ts";

/** `dagent index PATH…`: documents into a collection, one request a document, with progress. */
export async function indexDocuments(paths: string[], options: { json?: boolean; collection: string }): Promise<void> {
  const client = await openSystem();
  const { collection } = options;
  const failed: string[] = [];
  let documents = 0;
  for (const path of paths) {
    const { files, left } = await readTexts(path, (name) => /\.(md|markdown|txt)$/i.test(name));
    for (const name of left) note(`left out, not text: ${name}`);
    for (const [id, text] of Object.entries(files)) {
      const format = /\.txt$/i.test(id) ? "text" : "markdown";
      const { trace_id } = await client.index({ collection, documents: [{ id, text, format }] });
      const { trace } = await follow(client, trace_id, () => {});
      if (trace.failure) failed.push(`${id}: ${trace.failure.message} (trace ${trace_id})`);
      else documents += 1;
      if (!options.json) note(`${trace.failure ? "failed" : "indexed"}  ${id}`);
    }
  }
  if (options.json) json({ collection, documents, failed });
  else say(`${documents} documents in collection ${collection}; next: dagent chat -c ${collection} "…"`);
  if (failed.length > 0)
    throw new Failure("invalid_request", `${failed.length} were not indexed:\n${failed.join("\n")}`);
  if (documents === 0) throw new Failure("invalid_request", "nothing to index there: Markdown and plain text are read");
}
