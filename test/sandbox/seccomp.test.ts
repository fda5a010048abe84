import { describe, expect, test } from "vitest";
import { seccompFilter } from "../../src/sandbox/seccomp.ts";

const audit = { x64: 0xc000003e, arm64: 0xc00000b7 };

/** What the filter answers to a call, by a machine for classic BPF: 'allow', 'kill', or the number of the error. */
function answerTo(arch: "x64" | "arm64", call: { nr: number; args?: number[]; arch?: number }): string | number {
  const program = seccompFilter(arch);
  const memory = Buffer.alloc(64);
  memory.writeUInt32LE(call.nr >>> 0, 0);
  memory.writeUInt32LE(call.arch ?? audit[arch], 4);
  for (const [index, value] of (call.args ?? []).entries()) memory.writeUInt32LE(value >>> 0, 16 + index * 8);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; ) {
    const code = program.readUInt16LE(at * 8);
    const yes = program.readUInt8(at * 8 + 2);
    const no = program.readUInt8(at * 8 + 3);
    const k = program.readUInt32LE(at * 8 + 4);
    at++;
    if (code === 0x06) return k === 0x7fff0000 ? "allow" : k === 0x80000000 ? "kill" : k - 0x50000;
    if (code === 0x20) accumulator = memory.readUInt32LE(k);
    if (code === 0x15) at += accumulator === k ? yes : no;
    if (code === 0x25) at += accumulator > k ? yes : no;
    if (code === 0x45) at += (accumulator & k) !== 0 ? yes : no;
  }
  return "fell off the end";
}

describe.each([
  ["x64", { read: 0, mount: 165, clone: 56, clone3: 435, socket: 41, socketpair: 53, ioctl: 16, openByHandle: 304 }],
  [
    "arm64",
    { read: 63, mount: 40, clone: 220, clone3: 435, socket: 198, socketpair: 199, ioctl: 29, openByHandle: 265 },
  ],
] as const)("the filter for %s", (arch, calls) => {
  test("lets ordinary calls through, threads and forks too", () => {
    expect(answerTo(arch, { nr: calls.read })).toBe("allow");
    expect(answerTo(arch, { nr: calls.clone, args: [0x003d0f00] })).toBe("allow");
    expect(answerTo(arch, { nr: calls.ioctl, args: [1, 0x5401] })).toBe("allow");
  });

  test("refuses mounts, handles and every new namespace", () => {
    expect(answerTo(arch, { nr: calls.mount })).toBe(1);
    expect(answerTo(arch, { nr: calls.openByHandle })).toBe(1);
    for (const flag of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]) {
      expect(answerTo(arch, { nr: calls.clone, args: [flag | 17] })).toBe(1);
    }
    expect(answerTo(arch, { nr: calls.clone3 })).toBe(38);
  });

  test("opens unix, inet and netlink route, and no other family", () => {
    const open = Array.from({ length: 64 }, (_, family) => family).filter(
      (family) => answerTo(arch, { nr: calls.socket, args: [family, 1, 0] }) === "allow",
    );

    expect(open).toEqual([1, 2, 10, 16]);
    expect(answerTo(arch, { nr: calls.socket, args: [16, 3, 9] })).toBe(97);
    expect(answerTo(arch, { nr: calls.socketpair, args: [1] })).toBe("allow");
    expect(answerTo(arch, { nr: calls.socketpair, args: [2] })).toBe(97);
  });

  test("puts no words into the mouth of a terminal", () => {
    expect(answerTo(arch, { nr: calls.ioctl, args: [0, 0x5412] })).toBe(1);
    expect(answerTo(arch, { nr: calls.ioctl, args: [0, 0x541c] })).toBe(1);
  });

  test("answers calls newer than it as an old kernel would, and ends a process that speaks another machine's", () => {
    expect(answerTo(arch, { nr: 463 })).toBe(38);
    expect(answerTo(arch, { nr: 0x40000000 })).toBe(38);
    expect(answerTo(arch, { nr: calls.read, arch: 0x40000003 })).toBe("kill");
  });
});

test("there is none for a machine whose numbers are not known", () => {
  expect(() => seccompFilter("mips")).toThrow("there is no seccomp filter for mips");
});
