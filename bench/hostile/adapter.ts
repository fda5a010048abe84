import type { ProfileWish } from "../../src/contracts/limits.ts";
import { openDoor, type User } from "./door.ts";

/** A run as the kit asks for it. */
type KitRun = {
  argv: string[];
  files: Record<string, Uint8Array | string>;
  limits: Partial<
    Record<
      | "wallMs"
      | "cpuMs"
      | "memoryBytes"
      | "diskBytes"
      | "fileBytes"
      | "inodes"
      | "stdoutBytes"
      | "stderrBytes"
      | "maxFiles"
      | "pids",
      number
    >
  >;
  collect: string;
};

/** What the kit knows of our finer reasons. */
const coarse: Record<string, string> = {
  "time.wall": "time",
  "time.cpu": "time",
  inodes: "disk",
  file_size: "disk",
};

/** What the kit's harness calls: each of its runs goes through the door. */
export function openAdapter({ main, env, user }: { main: string; env: Record<string, string>; user?: User }) {
  const door = openDoor(main, { env, ...(user && { user }) });
  return {
    async run({ argv, files, limits, collect }: KitRun) {
      const answer = await door.run({ argv, files, limits: wishOf(limits), collect: [collect] });
      const { code, signal, stdout, stderr, artifacts } = answer;
      return {
        reason: answer.reason && (coarse[answer.reason] ?? answer.reason),
        code,
        signal,
        stdout: Buffer.from(stdout, "base64"),
        stderr: Buffer.from(stderr, "base64"),
        artifacts: artifacts.map(([path, bytes, content]) => [path, bytes, Buffer.from(content, "base64")]),
      };
    },
    cleanup: () => void door.close(),
  };
}

function wishOf(limits: KitRun["limits"]): ProfileWish {
  return {
    time: { wall_ms: limits.wallMs, cpu_ms: limits.cpuMs },
    size: {
      memory_bytes: limits.memoryBytes,
      disk_bytes: limits.diskBytes,
      file_bytes: limits.fileBytes,
      inodes: limits.inodes,
      stdout_bytes: limits.stdoutBytes,
      stderr_bytes: limits.stderrBytes,
      artifact_files: limits.maxFiles,
    },
    process: { pids: limits.pids },
  };
}
