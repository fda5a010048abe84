import type { Rounds } from "../../contracts/code.ts";
import type { Prompt } from "../../contracts/model.ts";
import type { Work } from "../../contracts/work.ts";
import type { Shown } from "../../rules/tree.ts";

const rules = `You change a software project. Answer with one JSON object and nothing else:
{"summary": "what you changed and why", "edits": [{"path": "a/file.js", "content": "its whole new text"}, {"path": "old.js", "delete": true}]}
Paths are relative to the project. Every answer holds all edits against the files as they are shown first.
The project is built and tested without network. Do not weaken its tests.`;

/** What a model is asked: the wish, the files, what was found about it, and, after a red round, why it was red. */
export function promptFor(
  { prompt, grounding, build, test }: Work,
  { shown, unshown, rounds }: Shown & { rounds: Rounds | null },
): Prompt {
  const files = Object.entries(shown).map(([path, text]) => `--- ${path}\n${text}`);
  const found = grounding.map(({ title, section, text }, n) => `[${n + 1}] ${title}, ${section}\n${text}`);
  const commands = [build && `It is built with: ${build}`, test && `It is tested with: ${test}`].filter(
    (line) => line !== null,
  );
  const question = [
    prompt,
    ...commands,
    files.length > 0 ? `The files:\n${files.join("\n")}` : "There are no files yet.",
    ...(unshown.length > 0 ? [`There are more files, which are not shown:\n${unshown.join("\n")}`] : []),
    ...(found.length > 0
      ? [`What the documents say that may matter (name what you used in the summary, as [1]):\n${found.join("\n\n")}`]
      : []),
  ].join("\n\n");

  const first: Prompt = [
    { role: "system", content: rules },
    { role: "user", content: question },
  ];
  if (!rounds) return first;
  return [
    ...first,
    { role: "assistant", content: JSON.stringify(rounds.change) },
    { role: "user", content: `That is red. The end of the log:\n${rounds.log}\n\nAnswer again, with all edits.` },
  ];
}
