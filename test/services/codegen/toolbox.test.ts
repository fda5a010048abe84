import { expect, test } from "vitest";
import { toolboxFor } from "../../../src/services/codegen/toolbox.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const tree = (files: Record<string, Uint8Array>) => ({
  files: new Map(Object.entries(files)),
  links: new Set<string>(),
});
const reading = (files: Record<string, Uint8Array>) => {
  const [read] = toolboxFor(tree(files)).more;
  return (args: unknown) => read?.use(args);
};

test("a model reads files of its project, and nothing else", async () => {
  const read = reading({
    "a.js": bytes("1\n"),
    "b.bin": Uint8Array.of(1, 0, 2),
    "long.txt": new Uint8Array(70_000).fill(97),
  });

  expect(await read({ path: "a.js" })).toBe("1\n");
  expect(await read({ path: "../../etc/passwd" })).toBe("There is no file ../../etc/passwd.");
  expect(await read({ path: "b.bin" })).toBe("b.bin is no text.");
  expect(await read({ path: "long.txt" })).toContain("too long");
  expect(await read({ file: "a.js" })).toContain("needs a path");
  expect(await read(undefined)).toContain("needs a path");
});

test("there is an end to what it reads", async () => {
  const files = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`${n}.txt`, new Uint8Array(60_000).fill(97)]));
  const read = reading(files);

  const said = await Promise.all(Object.keys(files).map((path) => read({ path })));

  expect(said.filter((text) => text?.startsWith("aaa"))).toHaveLength(4);
});

test("a change is handed in as it is checked: its shape is the one of edits.json", () => {
  const { parameters } = toolboxFor(tree({})).answer;

  expect(parameters).toMatchObject({ type: "object", required: ["summary", "edits"] });
});
