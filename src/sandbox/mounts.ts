import { readFileSync } from "node:fs";

/** One line of /proc/self/mountinfo: where it is mounted, the kind of file system and its own options. */
export type Mount = { at: string; kind: string; options: string[] };

/** The mounts this program sees. */
export function readMounts(): Mount[] {
  return parseMounts(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** Reads the text of a mountinfo file. A line it cannot read is left out. */
export function parseMounts(text: string): Mount[] {
  return text.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const at = before.split(" ")[4];
    const [kind, , options = ""] = after.split(" ");
    if (at === undefined || kind === undefined) return [];
    return [
      {
        at: at.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
        kind,
        options: options.split(","),
      },
    ];
  });
}
