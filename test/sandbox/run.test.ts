import { afterAll, describe, expect, test } from "vitest";
import { openBoxes } from "./ground.ts";

const boxes = await openBoxes();
afterAll(() => boxes.close());

describe.skipIf(!boxes.ground)(`honest programs ${boxes.title}`, () => {
  test("runs the steps one after the other in one box, each with its own output and code", async () => {
    const { steps, reason, out, err } = await boxes.run({
      steps: ["echo one; echo made > file", "cat file; echo oops >&2; exit 3", "echo never"],
    });

    expect(reason).toBeNull();
    expect(steps.map(({ code }) => code)).toEqual([0, 3]);
    expect(out).toEqual(["one\n", "made\n", ""]);
    expect(err).toEqual(["", "oops\n", ""]);
  });

  test("gives the output of a program that a step left behind to the step in which it comes", async () => {
    const { out } = await boxes.run({
      steps: [
        "mkfifo go; (read x < go; echo late) & echo early",
        "echo now > go; wait; until [ -e done ]; do echo $((n=n+1)) > done; done; sleep 0.1",
      ],
    });

    expect(out[0]).toBe("early\n");
    expect(out[1]).toBe("late\n");
  });

  test("takes what comes after the last step for a part of it", async () => {
    const { steps, reason } = await boxes.run({
      steps: ["yes & sleep 0.05"],
      limits: { size: { stdout_bytes: 4_000_000 } },
    });

    expect(["output", null]).toContain(reason);
    expect(steps).toHaveLength(1);
  });

  test("does not begin what was given up before its box was ready", async () => {
    const controller = new AbortController();
    const running = boxes.run({ steps: ["sleep 100"], signal: controller.signal });
    controller.abort(new Error("too late"));

    await expect(running).rejects.toThrow("too late");
  });

  test("tells a signal by its name, a missing program as 127", async () => {
    const killed = await boxes.run({ steps: ["kill -SEGV $$"] });
    const missing = await boxes.run({ steps: [["no-such-program"]] });

    expect(killed.steps[0]).toMatchObject({ code: null, signal: "SIGSEGV" });
    expect(missing.steps[0]).toMatchObject({ code: 127, signal: null });
  });

  test("hands over arguments as they are, whatever a shell would make of them", async () => {
    const words = ["a b", "'", "$HOME", "`id`", "\\", "*", "new\nline", "", "é"];

    const { out } = await boxes.run({ steps: [["printf", "%s|", ...words]] });

    expect(Buffer.from(out[0] ?? "", "latin1").toString()).toBe(`${words.join("|")}|`);
  });

  test("hands over more arguments than a pipe holds, and the next step's after them", async () => {
    const many = Array.from({ length: 300 }, (_, number) => String(number).padEnd(1000, "x"));
    const { out } = await boxes.run({
      steps: [["sh", "-c", 'echo "$# $0"; shift 298; echo "$1"', ...many], "echo next"],
    });

    expect(out).toEqual([`299 ${many[0]}\n${many[299]}\n`, "next\n"]);
  });

  test("lays out files and folders, and lets a script run that begins with #!", async () => {
    const { out } = await boxes.run({
      files: { "deep/down/run": "#!/bin/sh\ncat ../../plain; echo $0", plain: "text", empty: "" },
      steps: ["cd deep/down && ./run; wc -c < ../../empty; test -x ../../plain || echo plain"],
    });

    expect(out[0]).toBe("text./run\n0\nplain\n");
  });

  test("brings back what was asked for, as bytes", async () => {
    const { files, skipped } = await boxes.run({
      steps: ["mkdir -p out/sub; printf '\\377\\000x' > out/sub/bytes; echo 1 > out/a; echo 2 > other"],
      collect: ["out", "not/there"],
    });

    expect(files.map(({ path, content }) => [path, [...content]])).toEqual([
      ["out/a", [49, 10]],
      ["out/sub/bytes", [255, 0, 120]],
    ]);
    expect(skipped).toEqual([]);
  });

  test("runs node --test on a small package, and a red test shows in its output", async () => {
    const files = {
      "package.json": '{"type":"module","scripts":{"test":"node --test"}}',
      "sum.js": "export const sum = (a, b) => a + b;",
      "sum.test.js": `import test from "node:test"; import assert from "node:assert"; import { createServer } from "node:http";
        import { sum } from "./sum.js";
        test("adds", () => assert.equal(sum(1, 2), 3));
        test("serves on loopback", async () => {
          const server = createServer((_, reply) => reply.end("hi")).listen(0, "localhost");
          await new Promise((up) => server.on("listening", up));
          assert.equal(await (await fetch("http://localhost:" + server.address().port)).text(), "hi");
          server.closeAllConnections(); server.close();
        });`,
    };

    const green = await boxes.run({ profile: "node", files, steps: [["node", "--test", "--test-reporter=tap"]] });
    const red = await boxes.run({
      profile: "node",
      files: { ...files, "sum.js": "export const sum = (a, b) => a - b;" },
      steps: [["node", "--test", "--test-reporter=tap"]],
    });

    expect({ reason: green.reason, code: green.steps[0]?.code }, green.out[0]).toEqual({ reason: null, code: 0 });
    expect(red.steps[0]?.code).toBe(1);
    expect(red.out[0]).toContain("not ok 1 - adds");
  });

  test.skipIf(!boxes.ground?.profiles.includes("python"))(
    "runs a python unittest with temporary files and a subprocess",
    async () => {
      const { steps, reason, err } = await boxes.run({
        profile: "python",
        files: {
          "test_all.py": `import subprocess, tempfile, unittest, multiprocessing, os
class All(unittest.TestCase):
    def test_files(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b'x'); file.flush()
            self.assertEqual(os.path.getsize(file.name), 1)
    def test_subprocess(self):
        self.assertEqual(subprocess.check_output(['echo', 'hi']), b'hi\\n')
    def test_shared_memory(self):
        self.assertEqual(multiprocessing.Lock().acquire(), True)
    def test_user(self):
        import pwd; self.assertEqual(pwd.getpwuid(os.getuid()).pw_name, 'sandbox')
`,
        },
        steps: [["python3", "-m", "unittest"]],
      });

      expect({ reason, code: steps[0]?.code }, err[0]).toEqual({ reason: null, code: 0 });
    },
  );

  test("finds npm where the host has it beside node, or node alone", async () => {
    const { out } = await boxes.run({
      profile: "node",
      steps: ["node --version; command -v npm > /dev/null && npm --version"],
    });

    expect(out[0]).toMatch(/^v\d+/);
  });

  test("starts with nothing to read and an environment of its own", async () => {
    const { out } = await boxes.run({ steps: ["cat; env | sort"] });

    expect(out[0]).toBe(
      "CI=true\nHOME=/box\nLANG=C.UTF-8\nNO_COLOR=1\nPATH=/usr/bin:/usr/local/bin:/bin\nPWD=/work\nTMPDIR=/tmp\n",
    );
  });

  test("keeps nothing from one run to the next", async () => {
    await boxes.run({ steps: ["for d in /work /tmp /box /dev/shm; do echo left > $d/left; done; sleep 100 &"] });
    const { out } = await boxes.run({
      steps: ["find /work /tmp /box /dev/shm -name left; ps -e 2>/dev/null | grep sleep; echo end"],
    });

    expect(out[0]).toBe("end\n");
  });

  test("runs in several slots at one time, apart from each other", async () => {
    const all = await Promise.all(
      [0, 1, 2].map((run) => boxes.run({ steps: [`echo ${run} > mine; sleep 0.1; cat mine; ls | wc -l`] })),
    );

    expect(all.map(({ out }) => out[0])).toEqual(["0\n1\n", "1\n1\n", "2\n1\n"]);
  });

  test("is killed when nobody wants it any more, and says why it stopped", async () => {
    const controller = new AbortController();
    const running = boxes.run({
      steps: ["echo begun; sleep 100"],
      signal: controller.signal,
      onOutput: () => controller.abort(new Error("not wanted")),
    });

    await expect(running).rejects.toThrow("not wanted");
  });

  test("refuses files that cannot be, with the reason, and no folder of the host in it", async () => {
    await expect(boxes.run({ files: { a: "x", "a/b": "y" }, steps: ["true"] })).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(
      boxes.run({
        files: { a: new Uint8Array(3_000_000) },
        steps: ["true"],
        limits: { size: { disk_bytes: 1_000_000 } },
      }),
    ).rejects.toThrow(/no space left/i);
    await expect(
      boxes.run({ files: { a: "four" }, steps: ["true"], limits: { size: { input_bytes: 3 } } }),
    ).rejects.toThrow("the files are 4 bytes, 3 are allowed");
    await expect(boxes.run({ profile: "cobol", steps: ["true"] })).rejects.toThrow("there are node, python, shell");
  });
});
