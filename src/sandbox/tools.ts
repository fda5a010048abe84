import { accessSync, constants } from "node:fs";
import { join } from "node:path";

/** The programs of this host that make a box, and the package that brings each. */
const packages = {
  bwrap: "bubblewrap (`dagent setup` installs it)",
  unshare: "util-linux",
  nsenter: "util-linux",
  prlimit: "util-linux",
  setpriv: "util-linux",
  mount: "mount or util-linux",
  umount: "mount or util-linux",
  env: "coreutils",
  mknod: "coreutils",
  mkfifo: "coreutils",
} as const;

export type Tool = keyof typeof packages;

/** Where the tools are. */
export type Tools = { found: Record<Tool, string>; missing: string[] };

/** Looks in the system's own folders only: what makes a box is not taken from a path that somebody may write to. */
export function findTools(): Tools {
  const missing: string[] = [];
  const find = (tool: Tool): string => {
    const path = findTool(tool);
    if (!path) missing.push(`${tool} is not installed; it comes with ${packages[tool]}`);
    return path ?? tool;
  };
  const found = {
    bwrap: find("bwrap"),
    unshare: find("unshare"),
    nsenter: find("nsenter"),
    prlimit: find("prlimit"),
    setpriv: find("setpriv"),
    mount: find("mount"),
    umount: find("umount"),
    env: find("env"),
    mknod: find("mknod"),
    mkfifo: find("mkfifo"),
  };
  return { found, missing };
}

/** Where a tool is, in the system's own folders; null when it is not there. */
export function findTool(name: string): string | null {
  const folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
