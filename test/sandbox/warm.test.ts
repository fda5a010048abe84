import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { namesIn, textOf } from "../../bench/sandbox/processes.ts";
import { type LimitsWish, limitsFor, type SandboxLimits } from "../../src/contracts/limits.ts";
import { leaveBerth as leave } from "../../src/sandbox/berth.ts";
import type { Want } from "../../src/sandbox/pool.ts";
import { openBoxes, shipped, type Wanted } from "./ground.ts";

const boxes = await openBoxes();
const python = boxes.ground?.profiles.includes("python") ?? false;
afterAll(() => boxes.close());

/** Says all that a program can see of what was before it, then leaves as much as it can behind. */
const nosy = `import ctypes, glob, json, os, socket, subprocess
def text(path):
    try: return [' '.join(line.split()) for line in open(path)]
    except OSError as e: return e.errno
def files(top):
    return sorted((os.path.join(f, n), os.lstat(os.path.join(f, n)).st_ino) for f, d, names in os.walk(top) for n in d + names)
tops = ['/work', '/tmp', '/box', '/dev/shm']
new = {top: (open(top + '/new', 'w').close(), os.stat(top + '/new').st_ino)[1] for top in tops}
print(json.dumps({
  'files': [files(top) for top in tops], 'new': new, 'modes': [oct(os.stat(top).st_mode) for top in tops],
  'room': [(s.f_bavail, s.f_ffree) for s in [os.statvfs('/work')]],
  'processes': sorted(p for p in os.listdir('/proc') if p.isdigit()), 'environment': sorted(os.environ.items()),
  'network': [text('/proc/net/' + name) for name in ('tcp', 'tcp6', 'udp', 'dev', 'snmp')],
  'sockets': len(text('/proc/net/unix')), 'ipc': [text('/proc/sysvipc/' + name) for name in ('shm', 'sem', 'msg')],
  'limits': text('/proc/self/limits'), 'keys': text('/proc/keys'), 'host': os.uname().nodename, 'mask': os.umask(0o22),
}, indent=1))
for top in tops:
    os.makedirs(top + '/left/deep', exist_ok=True); open(top + '/left/deep/file', 'w').write('left' * 1000); os.chmod(top, 0o777)
libc = ctypes.CDLL(None)
libc.shmget(4711, 4096, 0o1666); libc.msgget(4712, 0o1666); libc.semget(4713, 1, 0o1666); libc.mq_open(b'/left', 0o102, 0o666, None)
listener = socket.socket(); listener.bind(('127.0.0.1', 4711)); listener.listen()
caller = socket.create_connection(('127.0.0.1', 4711)); accepted = listener.accept()[0]; accepted.close(); caller.close()
hidden = socket.socket(socket.AF_UNIX); hidden.bind('\\0left'); hidden.listen()
os.set_inheritable(hidden.fileno(), True); os.set_inheritable(listener.fileno(), True)
subprocess.Popen(['sleep', '471.1'], start_new_session=True, close_fds=False)
os.environ['LEFT'] = 'left'; libc.syscall(248, b'user', b'left', b'left', 4, -4)
`;

describe.skipIf(!boxes.ground)(`boxes that wait ${boxes.title}`, () => {
  const want = (profile: string, wish: LimitsWish = {}, file: SandboxLimits = shipped): Want => {
    const found = file.profiles[profile];
    if (!found) throw new Error(`there is no profile ${profile}`);
    return { profile: found, limits: limitsFor(file, profile, { wish }) };
  };
  const berths = () => {
    if (!boxes.ground) throw new Error("no ground for boxes");
    return boxes.ground.berths;
  };

  /** One more run in a box that waited for it. */
  async function runWarm(wanted: Wanted) {
    const { profile = "shell", limits } = wanted;
    berths().warm([want(profile, { ...limits, time: { wall_ms: 15_000, ...limits?.time } })], 4);
    await berths().settled();
    expect(berths().waiting()).toBeGreaterThan(0);
    return boxes.run(wanted);
  }

  test("are made before they are wanted, and each is used for one run", async () => {
    berths().warm([want("shell")], 4);
    await berths().settled();
    const waiting = childrenOfBoxes();
    const first = await berths().take(want("shell"));
    await leave(first);
    await berths().settled();
    const second = await berths().take(want("shell"));
    await leave(second);

    expect(waiting).toContain(first.box.outside);
    expect(second.box.outside).not.toBe(first.box.outside);
  });

  test.skipIf(!python)("see nothing of what ran before, warm or cold", async () => {
    const wanted = { profile: "python", files: { "nosy.py": nosy }, steps: [["python3", "nosy.py"]] };
    const cold = await boxes.run({ ...wanted, limits: { size: { memory_bytes: 700_000_000 } } });
    const warm = await runWarm(wanted);
    const next = await runWarm(wanted);

    expect(cold.err[0]).toBe("");
    expect(JSON.parse(cold.out[0] ?? "").files[0]).toHaveLength(2); // its own program, and the new file
    expect(warm.out[0]).toBe(cold.out[0]);
    expect(next.out[0]).toBe(cold.out[0]);
  });

  test("are made anew when they died while they waited; the run does not notice", async () => {
    for (const notice of [true, false]) {
      berths().warm([want("shell", { time: { wall_ms: 15_000 } })], 4);
      await berths().settled();
      for (const pid of childrenOfBoxes()) process.kill(pid, "SIGKILL");
      if (notice) await expect.poll(() => berths().waiting()).toBe(0);
      else while (childrenOfBoxes().length > 0); // they are dead, and this process has not heard of it
      const { steps, reason } = await boxes.run({ steps: ["echo well"] });

      expect({ code: steps[0]?.code, reason }).toEqual({ code: 0, reason: null });
    }
    await expect.poll(() => berths().waiting(), { timeout: 5000 }).toBeGreaterThan(0);
  });

  test("are begun one after the other by a shell of their user's, and end with it; another begins the next", async () => {
    const alone = { limits: { size: { inodes: 300 } } };
    const first = await berths().take(want("shell", alone.limits));
    const beginner = parentOf(first.box.outside);
    await leave(first);
    const second = await berths().take(want("shell", alone.limits));
    const ended = second.box.ended;

    expect(parentOf(beginner)).toBe(process.pid);
    for (const pid of [beginner, second.box.outside]) expect(environmentOf(pid)).toBe("");
    process.kill(parentOf(second.box.outside), "SIGKILL");
    await ended;
    await leave(second);
    const { out } = await boxes.run({ ...alone, steps: ["echo well"] });
    expect(out[0]).toBe("well\n");
  });

  test("are taken only under the limits they were made with: new limits hold from the next run on", async () => {
    const smaller = { ...shipped, defaults: { ...shipped.defaults, size: { ...shipped.defaults.size, inodes: 100 } } };
    berths().warm([want("shell")], 4);
    await berths().settled();
    const waiting = childrenOfBoxes();

    const berth = await berths().take(want("shell", {}, smaller));
    const { outside } = berth.box;
    await leave(berth);

    expect(waiting).not.toContain(outside);
    const seen = await runWarm({
      steps: ["i=0; while : > $i; do i=$((i+1)); done"],
      limits: { size: { inodes: 100 } },
    });
    expect(seen).toMatchObject({ reason: "inodes", limit: 100, observed: 100 });
  });

  test("are as many as was said, whatever is asked for; what was wanted last stays", async () => {
    for (const inodes of [201, 202, 203, 204, 205]) {
      await leave(await berths().take(want("shell", { size: { inodes } })));
      await berths().settled();
      expect(berths().waiting()).toBeLessThanOrEqual(4);
    }
    const waiting = childrenOfBoxes();
    const last = await berths().take(want("shell", { size: { inodes: 205 } }));
    await leave(last);

    expect(waiting).toContain(last.box.outside);
  });
});

/** The processes below this one that wait outside for the end of a box. */
function childrenOfBoxes(): number[] {
  return childrenOf(process.pid)
    .flatMap(childrenOf)
    .filter((pid) => {
      const stat = textOf(`/proc/${pid}/stat`);
      return stat.includes("(bwrap) ") && !stat.includes(") Z ");
    });
}

/** What it began with: a box cannot see it, and whoever could is to find nothing. */
function environmentOf(pid: number): string {
  return readFileSync(`/proc/${pid}/environ`, "latin1");
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(textOf(`/proc/${pid}/status`))?.[1]);
}

function childrenOf(pid: number): number[] {
  return namesIn(`/proc/${pid}/task`)
    .flatMap((thread) => textOf(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean))
    .map(Number);
}
