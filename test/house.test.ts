import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

/** Each room, and the rooms it may import. Read from the ground up: this is the house (ARCHITECTURE.md). */
const house: Record<string, string[]> = {
  contracts: [],
  rules: ["contracts"],
  store: ["contracts"],
  llm: ["contracts"],
  sandbox: ["contracts"],
  client: ["contracts"],
  bus: ["contracts", "rules", "store"],
  agents: ["contracts", "llm"],
  services: ["contracts", "rules", "store", "llm", "bus", "agents"],
  ops: ["contracts", "rules", "store", "bus"],
  gateway: ["contracts", "rules", "store", "bus", "ops"],
  app: ["contracts", "rules", "store", "llm", "sandbox", "client", "bus", "agents", "services", "ops", "gateway"],
  cli: ["contracts", "app", "client", "scenarios", "bench"],
  scenarios: ["contracts", "client"],
  bench: ["contracts", "rules", "store", "sandbox", "client", "bus", "services", "ops", "app"],
};

/** What may be done in one place only: a pattern, and the places where it may stand. */
const onlyIn: [what: string, pattern: RegExp, where: RegExp][] = [
  ["process.env", /process\.env\b/, /^src\/app\/config\.ts$/],
  ["the clock", /new Date\(\)|Date\.now\(\)/, /^(src\/app|src\/cli|scenarios|bench)\//],
  ["chance", /Math\.random\(\)/, /^(src\/app|scenarios|bench)\//],
  ["a database driver", /from "(postgres|pg)"/, /^(src\/store|bench)\//],
  ["SQL", /\bsql`|\btx`/, /^(src\/store|bench)\//],
];

/** The first folder below src, or the folder itself for what lives beside src. */
const room = (path: string) => (path.startsWith("src/") ? path.split("/")[1] : path.split("/")[0]) ?? "";
const service = (path: string) => path.split("/")[2];

const files = ["src", "scenarios", "bench"]
  .filter((folder) => existsSync(folder))
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !file.includes("node_modules"))
      .map((file) => join(folder, file)),
  );
const text = new Map(files.map((file) => [file, readFileSync(file, "utf8")]));
const imports = files.flatMap((from) => {
  const targets = (text.get(from) ?? "").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g);
  return [...targets].map(([, to = ""]) => ({ from, to: join(dirname(from), to) }));
});

test("no import runs up the house", () => {
  const wrong = imports.filter(({ from, to }) => room(from) !== room(to) && !house[room(from)]?.includes(room(to)));
  expect(wrong).toEqual([]);
});

test("every room is on the drawing", () => {
  expect([...new Set(files.map(room))].filter((name) => !(name in house))).toEqual([]);
});

test("services meet on the bus, never in an import", () => {
  const wrong = imports.filter(
    ({ from, to }) => room(from) === "services" && room(to) === "services" && service(from) !== service(to),
  );
  expect(wrong).toEqual([]);
});

test.each(onlyIn)("%s is found where it belongs only", (_, pattern, where) => {
  expect(files.filter((file) => pattern.test(text.get(file) ?? "") && !where.test(file))).toEqual([]);
});

test("no file is longer than 400 lines, and half of them are below 150", () => {
  const lengths = files.map((file) => ({ file, lines: (text.get(file) ?? "").split("\n").length }));
  const sorted = lengths.map(({ lines }) => lines).sort((a, b) => a - b);

  expect(lengths.filter(({ lines }) => lines > 400)).toEqual([]);
  expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThan(150);
});

test("there is no default export, no barrel and no drawer for odds and ends", () => {
  expect(files.filter((file) => /^export default/m.test(text.get(file) ?? ""))).toEqual([]);
  expect(
    files.filter(
      (file) =>
        /(^|\/)(index|utils?|helpers?|common|misc)(\.ts|\/)/.test(file) && !file.includes("services/rag/index.ts"),
    ),
  ).toEqual([]);
});
