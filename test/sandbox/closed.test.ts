import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBoxes } from "./ground.ts";
import { processesWith } from "./processes.ts";

const boxes = await openBoxes();
const python = boxes.ground?.profiles.includes("python") ?? false;
afterAll(() => boxes.close());

describe.skipIf(!boxes.ground)(`the host ${boxes.title}`, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sandbox-host-"));
    await writeFile(join(folder, "secret"), "hidden", { mode: 0o644 });
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("keeps its files, its users and its settings to itself", async () => {
    const { out } = await boxes.run({
      steps: [
        `cat ${folder}/secret /etc/shadow /root/.profile 2>/dev/null; grep -c . /etc/passwd; ls -d /sys /var /run /home /root /boot 2>/dev/null; ls /tmp; cat /proc/kallsyms /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /proc | grep -c '^[0-9]'`,
      ],
    });

    const [users, kernel, processes] = (out[0] ?? "").trim().split("\n");
    expect({ users, kernel }).toEqual({ users: "2", kernel: "0" });
    expect(Number(processes)).toBeLessThan(9);
  });

  test("keeps the worker's environment and its paths from /proc", async () => {
    process.env.SANDBOX_SECRET = "do-not-tell-4711";
    const { out } = await boxes.run({
      steps: ["cat /proc/*/environ /proc/*/cmdline /proc/self/status | tr '\\0' '\\n'; env; ls -l /proc/self/fd"],
    });
    delete process.env.SANDBOX_SECRET;

    expect(out[0]).not.toContain("do-not-tell-4711");
    expect(out[0]).not.toContain(process.cwd());
    expect(out[0]).not.toContain("dagent-sandbox");
  });

  test("inherits no open file of the worker's, however it came by it", async () => {
    const { out } = await boxes.run({ steps: ["for f in /proc/$$/fd/*; do readlink $f; done"] });

    const files = (out[0] ?? "").trim().split("\n");
    expect(files.filter((file) => file !== "/dev/null")).toEqual(["/stdout", "/stderr"]);
  });

  test("cannot be written to, anywhere", async () => {
    const { out } = await boxes.run({
      steps: [
        "for f in /x /usr/x /usr/bin/x /etc/x /etc/passwd /opt/x /dev/x /proc/sys/kernel/hostname /proc/sys/vm/drop_caches /proc/sysrq-trigger /lib/x /bin/x; do (echo x >> $f) 2>/dev/null && echo WROTE $f; done; echo end",
      ],
    });

    expect(out[0]).toBe("end\n");
  });

  test.skipIf(!python)(
    "refuses mounts, new namespaces, ptrace, keys, bpf, perf, userfaultfd, io_uring, modules and reboot",
    async () => {
      const { out } = await boxes.run({
        profile: "python",
        files: {
          "calls.py": `import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
x64 = dict(mount=165, umount2=166, unshare=272, setns=308, ptrace=101, keyctl=250, add_key=248, bpf=321, perf=298, userfaultfd=323, io_uring=425, init_module=175, reboot=169, kexec=246, process_vm_readv=310, open_by_handle=304, fsopen=430, move_mount=429, swapon=167, clone3=435, newer=463)
arm64 = dict(mount=40, umount2=39, unshare=97, setns=268, ptrace=117, keyctl=219, add_key=217, bpf=280, perf=241, userfaultfd=282, io_uring=425, init_module=105, reboot=142, kexec=104, process_vm_readv=270, open_by_handle=265, fsopen=430, move_mount=429, swapon=224, clone3=435, newer=463)
for name, number in (x64 if platform.machine() == 'x86_64' else arm64).items():
    result = libc.syscall(number, 0, 0, 0, 0, 0, 0)
    errno = ctypes.get_errno()
    if result != -1 or errno != (38 if name in ('clone3', 'newer') else 1): print('LET', name, result, errno)
clone = 56 if platform.machine() == 'x86_64' else 220
for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
    if libc.syscall(clone, flag | 17, 0, 0, 0, 0) != -1: print('CLONED', hex(flag)); os._exit(0)
import fcntl
for request in (0x5412, 0x541c):
    try: fcntl.ioctl(1, request, b'x'); print('TYPED')
    except OSError as e:
        if e.errno != 1: print('IOCTL', e)
print('end')`,
        },
        steps: [["python3", "calls.py"]],
      });

      expect(out[0]).toBe("end\n");
    },
  );

  test("has its filter on every process, the first one too, whose memory a program may write to", async () => {
    const { out } = await boxes.run({
      steps: ["grep -h -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/[0-9]*/status | sort -u"],
    });

    expect(out[0]).toBe("CapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
  });

  test("gives no capability and no way to one", async () => {
    const { out } = await boxes.run({
      steps: [
        "grep -E '^(Cap...|NoNewPrivs|Seccomp|Groups):' /proc/self/status | tr -d '\\t '; cp /bin/sh s && chmod 4755 s && ./s -c 'id -u'; unshare -r true 2>/dev/null && echo NESTED; mknod dev b 8 0 2>/dev/null && echo NODE; chroot / true 2>/dev/null && echo CHROOT; echo end",
      ],
    });

    expect(out[0]).toMatch(
      /^Groups:\d*\nCapInh:0+\nCapPrm:0+\nCapEff:0+\nCapBnd:0+\nCapAmb:0+\nNoNewPrivs:1\nSeccomp:2\n1000\nend\n$/,
    );
  });

  test.skipIf(!boxes.strict)("knows a box under a user of its own, and forgets its accounts and folders", async () => {
    let uid = "";
    const running = boxes.run({ steps: ["echo up; sleep 0.4321"], onOutput: () => void look() });
    const look = async () => {
      const [pid] = processesWith("sleep 0.4321");
      uid = /^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "latin1"))?.[1] ?? "";
    };
    await running;

    expect(Number(uid) - 0x70000000 - process.pid * 64).toBeGreaterThanOrEqual(0);
    expect(Number(uid) - 0x70000000 - process.pid * 64).toBeLessThan(64);
    const mounts = await readFile("/proc/self/mountinfo", "utf8");
    expect(mounts).not.toContain("/dagent-sandbox/");
  });
});
