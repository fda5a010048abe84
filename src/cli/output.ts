import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Colours a text when standard output is a terminal and NO_COLOR is not set. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** One line on standard output. */
export function say(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** One line on standard error: progress and warnings, so that standard output stays what was asked for. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A value as JSON on standard output, one line. */
export function json(value: unknown): void {
  say(JSON.stringify(value));
}

/** Rows as aligned columns. */
export function table(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => width(row[column] ?? ""))));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - width(cell)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Characters a terminal shows: without colour codes. */
function width(text: string): number {
  return text.replaceAll(colourCode, "").length;
}

const colourCode = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");

/** A duration as people say it: '14 ms', '2.3 s', '4 min'. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}
