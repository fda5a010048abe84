import { afterAll, describe, expect, test } from "vitest";
import { openBoxes } from "./ground.ts";
import { processesWith } from "./processes.ts";

const boxes = await openBoxes();
const python = boxes.ground?.profiles.includes("python") ?? false;
afterAll(() => boxes.close());

describe.skipIf(!boxes.ground)(`limits ${boxes.title}`, () => {
  test("ends an endless loop by the cpu it took", async () => {
    const seen = await boxes.run({ steps: ["while :; do :; done"], limits: { time: { cpu_ms: 200 } } });

    expect(seen).toMatchObject({ reason: "time.cpu", limit: 200, steps: [{ code: null, signal: "SIGKILL" }] });
    expect(Number(seen.observed)).toBeLessThan(500);
  });

  test("counts the cpu of every child, however short each lives", async () => {
    const seen = await boxes.run({
      steps: ["while :; do (i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done); done"],
      limits: { time: { cpu_ms: 300, wall_ms: 10_000 } },
    });

    expect(seen.reason).toBe("time.cpu");
  });

  test("ends a sleeper that ignores every signal by the clock, within 100 ms", async () => {
    const seen = await boxes.run({
      steps: ["trap '' HUP INT QUIT TERM USR1 USR2; while :; do sleep 30.5; done"],
      limits: { time: { wall_ms: 300 } },
    });

    expect(seen).toMatchObject({ reason: "time.wall", limit: 300 });
    expect(seen.steps[0]?.wallMs).toBeLessThan(400);
  });

  test("ends what eats memory, inside and outside of a language's heap", async () => {
    const limits = { size: { memory_bytes: 100_000_000 } };
    const heap = await boxes.run({ steps: ["x=$(head -c 300000000 /dev/zero | tr '\\0' a)"], limits });
    const buffers = await boxes.run({
      profile: "node",
      steps: [["node", "-e", "const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))"]],
      limits,
    });

    expect(heap).toMatchObject({ reason: "memory", limit: 100_000_000 });
    expect(buffers).toMatchObject({ reason: "memory" });
  });

  test("stops a fork bomb at the limit of processes", async () => {
    const seen = await boxes.run({
      steps: ["bomb() { bomb | bomb & bomb; }; bomb; sleep 5"],
      limits: { process: { pids: 40 }, time: { wall_ms: 4000 } },
    });

    if (boxes.strict) expect(seen).toMatchObject({ reason: "pids", limit: 40 });
    else expect(seen.reason ?? seen.err[0]).toMatch(/pids|time|fork/i); // held, but not always seen
  });

  test.skipIf(!python)("counts threads as processes", async () => {
    const seen = await boxes.run({
      profile: "python",
      steps: [
        ["python3", "-c", "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,)).start()"],
      ],
      limits: { process: { pids: 30 } },
    });

    expect(seen.steps[0]?.code).not.toBe(0);
    expect(boxes.strict ? ["pids"] : ["pids", null]).toContain(seen.reason);
  });

  test.each(["/work", "/tmp", "/box", "/dev/shm"])(
    "holds a file that fills %s to the size of the disk",
    async (folder) => {
      const seen = await boxes.run({
        steps: [`cat /dev/zero > ${folder}/fill; wc -c < ${folder}/fill`],
        limits: { size: { disk_bytes: 4_194_304 } },
      });

      expect(seen).toMatchObject({ reason: "disk", limit: 4_194_304, observed: 4_194_304 });
    },
  );

  test("holds the number of files", async () => {
    const seen = await boxes.run({
      steps: ["mkdir d; i=0; while : > d/$i; do i=$((i+1)); done"],
      limits: { size: { inodes: 300 } },
    });

    expect(seen).toMatchObject({ reason: "inodes", limit: 300, observed: 300 });
  });

  test("holds the size of one file", async () => {
    const seen = await boxes.run({
      steps: ["head -c 3000000 /dev/zero > big"],
      limits: { size: { file_bytes: 1_000_000 } },
    });

    expect(seen).toMatchObject({ reason: "file_size", limit: 1_000_000 });
  });

  test.skipIf(!python).each(["big", "/tmp/big", "/dev/shm/big", "/box/big"])(
    "names the size of a file also where the program lives on to complain: %s",
    async (path) => {
      const seen = await boxes.run({
        profile: "python",
        steps: [["python3", "-c", `open('${path}', 'wb').write(bytes(3_000_000))`]],
        limits: { size: { file_bytes: 1_000_000 } },
      });

      expect(seen).toMatchObject({ reason: "file_size", limit: 1_000_000, steps: [{ code: 1 }] });
    },
  );

  test.each(["stdout", "stderr"] as const)("cuts endless %s at the byte and ends the run", async (stream) => {
    const seen = await boxes.run({
      steps: [`cat /dev/zero ${stream === "stderr" ? ">&2" : ""}`],
      limits: { size: { [`${stream}_bytes`]: 100_001 } },
    });

    expect(seen).toMatchObject({ reason: "output", limit: 100_001 });
    expect((stream === "stdout" ? seen.out : seen.err)[0]).toHaveLength(100_001);
  });

  test("counts the output of all steps together", async () => {
    const seen = await boxes.run({
      steps: ["head -c 600 /dev/zero", "head -c 600 /dev/zero", "echo never"],
      limits: { size: { stdout_bytes: 1000 } },
    });

    expect(seen).toMatchObject({ reason: "output", steps: [{ code: 0 }, {}] });
    expect(seen.out.map(({ length }) => length)).toEqual([600, 400, 0]);
  });

  test("leaves no core file", async () => {
    const { out } = await boxes.run({ steps: ["sh -c 'kill -ABRT $$'; ls -A; ulimit -c"] });

    expect(out[0]).toBe("0\n");
  });

  test("ends what a run leaves behind, a daemon too", async () => {
    await boxes.run({ steps: ["(setsid sleep 3123.75 &) ; (nohup sleep 3123.75 > /dev/null 2>&1 &); echo"] });

    expect(processesWith("sleep 3123.75")).toEqual([]);
  });

  test("ends with its steps red when a program kills all it can see", async () => {
    const seen = await boxes.run({ steps: ["kill -9 -1; kill -9 2 1; sleep 9", "echo never"] });

    expect(seen.steps).toHaveLength(1);
    expect(seen.steps[0]).toMatchObject({ code: null, signal: "SIGKILL" });
  });

  test("copes with folders deeper than a path can say", async () => {
    const { reason, skipped, files } = await boxes.run({
      profile: "node",
      steps: [["node", "-e", 'for (let i = 0; i < 3000; i++) { fs.mkdirSync("d"); process.chdir("d"); }']],
      collect: ["d"],
    });

    expect({ reason, files }).toEqual({ reason: null, files: [] });
    expect(skipped).toHaveLength(1);
    expect(skipped[0]?.why).toBe("a folder too deep");
  });
});
