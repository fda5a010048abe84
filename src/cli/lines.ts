/** A line of a stream; null: it was longer than allowed and was passed over. */
export type Line = string | null;

/** The lines of a stream that have something in them. One that is longer than `most` bytes never comes to stand in memory. */
export async function* readLines(stream: AsyncIterable<Buffer>, most: number): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let length = 0;

  function take(): Line | undefined {
    const line = length > most ? null : Buffer.concat(parts).toString("utf8").trim();
    parts = [];
    length = 0;
    return line === "" ? undefined : line;
  }
  function add(bytes: Buffer): void {
    length += bytes.length;
    if (length > most) parts = [];
    else parts.push(bytes);
  }

  for await (const bytes of stream) {
    let from = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      add(bytes.subarray(from, at));
      from = at + 1;
      const line = take();
      if (line !== undefined) yield line;
    }
    add(bytes.subarray(from));
  }
  const last = take();
  if (last !== undefined) yield last;
}
