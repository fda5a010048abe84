/** One server-sent event. `text` is empty for a frame that only says when to come back, and for a comment. */
export type Frame = { id: string | null; name: string; text: string; retryMs: number | null };

/** The frames of a body of server-sent events (HTML Living Standard, 9.2.6); a comment alone is a frame of that name. */
export async function* framesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const frame = frameOf(block);
      if (frame) yield frame;
    }
  }
}

function frameOf(block: string): Frame | null {
  const frame: Frame = { id: null, name: "message", text: "", retryMs: null };
  const lines: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "id") frame.id = value;
    if (field === "event") frame.name = value;
    if (field === "data") lines.push(value);
    if (field === "retry" && /^\d+$/.test(value)) frame.retryMs = Number(value);
  }
  if (lines.length === 0 && frame.retryMs === null) return block.startsWith(":") ? { ...frame, name: "comment" } : null;
  return { ...frame, text: lines.join("\n") };
}
