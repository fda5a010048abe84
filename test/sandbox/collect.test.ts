import { afterAll, describe, expect, test } from "vitest";
import { openBoxes } from "./ground.ts";

const boxes = await openBoxes();
afterAll(() => boxes.close());

describe.skipIf(!boxes.ground)(`what comes back ${boxes.title}`, () => {
  test("takes plain files only, and says why it left the others", async () => {
    const { files, skipped } = await boxes.run({
      steps: [
        "mkdir out; cd out; echo plain > a; ln -s /etc/passwd link; ln -s /etc folder; echo twice > b; ln b c; mkfifo fifo; printf x > 'new\nline'; printf x > $(printf '\\377')",
      ],
      collect: ["out"],
    });

    expect(files.map(({ path }) => path)).toEqual(["out/a"]);
    expect(Object.fromEntries(skipped.map(({ path, why }) => [path, why]))).toEqual({
      "out/b": "has more than one name",
      "out/c": "has more than one name",
      "out/fifo": "not a regular file",
      "out/folder": "a symbolic link",
      "out/link": "a symbolic link",
      "out/new\uFFFDline": "has a name that is not plain text",
      "out/\uFFFD": "has a name that is not plain text",
    });
  });

  test("follows no link on the way to what was asked for", async () => {
    const { files, skipped } = await boxes.run({
      steps: ["ln -s /etc out; ln -s .. up"],
      collect: ["out/passwd", "up/up/etc/passwd"],
    });

    expect(files).toEqual([]);
    expect(skipped.map(({ why }) => why)).toEqual(["out is not a folder", "up is not a folder"]);
  });

  test("stops looking once a limit is broken and enough is listed", async () => {
    const { files, skipped, reason } = await boxes.run({
      profile: "node",
      steps: [["node", "-e", 'fs.mkdirSync("out"); for (let i = 0; i < 15000; i++) fs.writeFileSync("out/" + i, "")']],
      collect: ["out"],
      limits: { size: { artifact_files: 10 } },
    });

    expect({ files: files.length, skipped: skipped.length, reason }).toEqual({
      files: 10,
      skipped: 200,
      reason: "artifact",
    });
  });

  test("measures before it reads: a file with a hole of a terabyte stays where it is", async () => {
    const { files, reason } = await boxes.run({
      steps: ["truncate -s 100M hole; echo small > small"],
      collect: ["hole", "small"],
      limits: { size: { artifact_bytes: 1000 } },
    });

    expect(files.map(({ path }) => path)).toEqual(["small"]);
    expect(reason).toBe("artifact");
  });

  test("counts the files", async () => {
    const { files, reason, limit } = await boxes.run({
      steps: ["mkdir out; i=0; while [ $i -lt 50 ]; do : > out/$i; i=$((i+1)); done"],
      collect: ["out"],
      limits: { size: { artifact_files: 10 } },
    });

    expect(files).toHaveLength(10);
    expect({ reason, limit }).toEqual({ reason: "artifact", limit: 10 });
  });
});
