import { Failure } from "../contracts/failure.ts";
import { judgedCalls, newestCall, refusedCalls } from "./syscalls.ts";

const machines: Record<string, { column: 0 | 1; audit: number }> = {
  x64: { column: 0, audit: 0xc000003e },
  arm64: { column: 1, audit: 0xc00000b7 },
};

const eperm = 1;
const enosys = 38;
const afnosupport = 97; // EAFNOSUPPORT

/** What a filter answers: go on, an error number, or the end of the process. */
const allow = 0x7fff0000;
const kill = 0x80000000;
const answer = (errno: number) => 0x00050000 | errno;

/** Every flag of clone that makes a namespace: mount, cgroup, uts, ipc, user, pid, net. */
const newNamespaces = 0x7e020000;
const families = { unix: 1, inet: 2, inet6: 10, netlink: 16 };
const netlinkRoute = 0; // what getifaddrs asks; the other protocols of netlink are closed
const terminalInput = [0x5412, 0x541c]; // TIOCSTI and TIOCLINUX put words into the mouth of a terminal

/** One instruction of classic BPF, as in linux/filter.h. Jumps count the instructions to skip. */
type Instruction = { code: number; yes?: number; no?: number; k: number };

const load = (offset: number): Instruction => ({ code: 0x20, k: offset });
const isEqual = (k: number, yes: number, no: number): Instruction => ({ code: 0x15, yes, no, k });
const isAbove = (k: number, yes: number, no: number): Instruction => ({ code: 0x25, yes, no, k });
const hasAny = (k: number, yes: number, no: number): Instruction => ({ code: 0x45, yes, no, k });
const end = (k: number): Instruction => ({ code: 0x06, k });

const callNumber = load(0); // struct seccomp_data: nr, arch, instruction pointer, args
const machine = load(4);
const argument = (index: number) => load(16 + 8 * index); // its lower half, on a little-endian machine

/**
 * The seccomp filter of a box, as bytes for `bwrap --seccomp`: 8 a instruction, classic BPF. Refuses what reaches for the
 * kernel's rarer doors, new namespaces, every socket family but unix, inet and netlink route (a network namespace does
 * not cut vsock), and calls newer than the list. Throws `sandbox_unavailable` on a machine it has no numbers for.
 */
export function seccompFilter(arch: string): Buffer {
  const known = machines[arch];
  if (!known)
    throw new Failure("sandbox_unavailable", `there is no seccomp filter for ${arch}; x64 and arm64 have one`);
  const { column, audit } = known;
  const refused = Object.values(refusedCalls)
    .map((numbers) => numbers[column])
    .filter((number) => number !== null);

  return assemble([
    machine,
    isEqual(audit, 1, 0),
    end(kill), // 32-bit calls have other numbers: nothing of ours makes them
    callNumber,
    isAbove(newestCall, 0, 1), // also every call of x32, which has bit 30 set
    end(answer(enosys)),
    ...refused.flatMap((number) => [isEqual(number, 0, 1), end(answer(eperm))]),
    isEqual(judgedCalls.clone3[column], 0, 1),
    end(answer(enosys)), // its flags are behind a pointer; the C libraries fall back to clone
    ...when(judgedCalls.clone[column], [argument(0), hasAny(newNamespaces, 0, 1), end(answer(eperm)), end(allow)]),
    ...when(judgedCalls.ioctl[column], [
      argument(1),
      ...terminalInput.flatMap((request) => [isEqual(request, 0, 1), end(answer(eperm))]),
      end(allow),
    ]),
    ...when(judgedCalls.socketpair[column], [
      argument(0),
      isEqual(families.unix, 0, 1),
      end(allow),
      end(answer(afnosupport)),
    ]),
    ...when(judgedCalls.socket[column], [
      argument(0),
      ...[families.unix, families.inet, families.inet6].flatMap((family) => [isEqual(family, 0, 1), end(allow)]),
      isEqual(families.netlink, 0, 2),
      argument(2),
      isEqual(netlinkRoute, 1, 0),
      end(answer(afnosupport)),
      end(allow),
    ]),
    end(allow),
  ]);
}

/** `body`, which ends in an answer on every way, for one call; what comes after it is for the others. */
function when(number: number, body: Instruction[]): Instruction[] {
  return [isEqual(number, 0, body.length), ...body];
}

function assemble(instructions: Instruction[]): Buffer {
  const bytes = Buffer.alloc(instructions.length * 8);
  instructions.forEach(({ code, yes = 0, no = 0, k }, index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(yes, index * 8 + 2);
    bytes.writeUInt8(no, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return bytes;
}
