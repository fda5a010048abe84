import { z } from "zod";
import { EditSet } from "../../contracts/code.ts";
import type { Toolbox } from "../../contracts/model.ts";
import { bytesOf, sizeOf, type Tree } from "../../rules/tree.ts";

const longestRead = 65_536; // bytes of one file
const mostRead = 262_144; // of all files together

const Wanted = z.object({ path: z.string() });

/** What a model that calls tools has: it reads files that it was not shown, and hands its change in. */
export function toolboxFor(tree: Tree): Toolbox {
  let left = mostRead;
  return {
    answer: {
      name: "submit_change",
      about: "Hands your change in. This is your answer: call it once, with all edits.",
      parameters: z.toJSONSchema(EditSet, { io: "input", unrepresentable: "any" }),
    },
    more: [
      {
        name: "read_file",
        about: "Answers the text of a file of the project, by its path.",
        parameters: z.toJSONSchema(Wanted),
        async use(args) {
          const wanted = Wanted.safeParse(args);
          if (!wanted.success) return "That needs a path, as a string.";
          const { path } = wanted.data;
          const file = tree.files.get(path);
          if (!file) return `There is no file ${path}.`;
          const bytes = sizeOf(file);
          if (bytes > longestRead) return `${path} is too long to be read: ${bytes} bytes.`;
          if (bytes > left) return "You have read as much as you may: answer with what you know.";
          left -= bytes;
          const content = (await bytesOf(tree, path)) ?? new Uint8Array();
          return content.includes(0) ? `${path} is no text.` : Buffer.from(content).toString("utf8");
        },
      },
    ],
  };
}
