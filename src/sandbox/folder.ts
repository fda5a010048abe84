import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Failure } from "../contracts/failure.ts";
import { isAlive, newIdentity } from "./identity.ts";
import type { Program, Shown } from "./programs.ts";

/** What a worker keeps on disk while it runs: the mount points of its boxes, and the few files that are their own. */
export type Folder = { path: string; close(): void };

/** The files of /etc in a box. Its name server leads nowhere, so that a look-up is an attempt that can be counted. */
const etc: Record<string, string> = {
  passwd: "sandbox:x:1000:1000::/box:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
  group: "sandbox:x:1000:\nnogroup:x:65534:\n",
  hosts: "127.0.0.1 localhost sandbox\n::1 localhost\n",
  "resolv.conf": "nameserver 192.0.2.1\noptions timeout:1 attempts:1\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
};

/** Makes the folder of this worker. Nothing in it is secret: a box may read all of it. */
export function openFolder(): Folder {
  const path = join(folderOfAll(), newIdentity());
  readable(() => mkdirSync(path));
  return { path, close: () => rmSync(path, { recursive: true, force: true }) };
}

/**
 * Lays out at `at` what boxes are to see as /, as far as it is files of their own: /etc, links, and the places for all
 * else, the binds of a profile among them. Answers what of this host is to be mounted in it, in this order; it is for
 * whoever mounts it to see that it can only be read.
 */
export function layRoot(at: string, { programs, binds }: { programs: Program[]; binds: string[] }): Shown[] {
  const shown: Shown[] = [{ from: "/usr", to: join(at, "usr") }];
  const place = ({ from, to }: Shown) => {
    if (!shown.some((above) => to.startsWith(`${above.to}/`))) makeTarget(from, to); // below what is shown, it is there
  };
  const show = (each: Shown) => {
    place(each);
    shown.push(each);
  };
  readable(() => {
    for (const name of ["", "usr", "etc", "opt", "proc", "dev", "deps", ...onDisk]) mkdirSync(join(at, name));
    for (const name of ["bin", "sbin", "lib", "lib32", "lib64"]) layBeside(`/${name}`, at, show);
    for (const [name, text] of Object.entries(etc)) writeFileSync(join(at, "etc", name), text);
    if (existsSync("/etc/ld.so.cache")) copyFileSync("/etc/ld.so.cache", join(at, "etc/ld.so.cache"));
    copyAlternatives(join(at, "etc/alternatives"));
    copyAuthorities(join(at, "etc/ssl/certs"));
    for (const program of programs) {
      for (const { from, to } of program.shown) show({ from, to: join(at, to) });
      for (const link of program.links) symlinkSync(link.to, join(at, link.at));
    }
    for (const path of binds) if (!isOnDisk(path) && existsSync(path)) place({ from: path, to: join(at, path) });
  });
  return shown;
}

/** Folders of a box that are its disk's: a bind below them finds its place there. */
const onDisk = ["work", "tmp", "box"];

function isOnDisk(path: string): boolean {
  return onDisk.some((name) => path === `/${name}` || path.startsWith(`/${name}/`));
}

/** /bin and its like: on most systems a link into /usr, on some a folder of its own. */
function layBeside(path: string, at: string, show: (shown: Shown) => void): void {
  if (!existsSync(path)) return;
  if (lstatSync(path).isSymbolicLink()) symlinkSync(readlinkSync(path), join(at, path));
  else show({ from: path, to: join(at, path) });
}

/** Whatever this process was told to keep to itself, the users of boxes have to read these. */
export function readable(make: () => void): void {
  const umask = process.umask(0o022);
  try {
    make();
  } finally {
    process.umask(umask);
  }
}

/** Removes the folders of workers that are gone. Answers how many. */
export function sweepFolders(): number {
  const parent = folderOfAll();
  const left = readdirSync(parent).filter((name) => !isAlive(name));
  for (const name of left) rmSync(join(parent, name), { recursive: true, force: true });
  return left.length;
}

/** Where the folders of all workers of this user are. Throws `sandbox_unavailable` when somebody else has laid it there. */
export function folderOfAll(): string {
  const uid = process.getuid?.() ?? 0;
  const parent = uid === 0 && existsSync("/run") ? "/run/dagent-sandbox" : join(tmpdir(), `dagent-sandbox-${uid}`);
  if (!existsSync(parent)) mkdirSync(parent, { mode: 0o755 });
  const found = lstatSync(parent);
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0) return parent;
  throw new Failure("sandbox_unavailable", `${parent} is not a folder of this user alone: remove it`);
}

/** Debian lets /usr/bin/awk point to /etc/alternatives/awk: the links are laid anew, what they point to is in /usr. */
function copyAlternatives(folder: string): void {
  if (!existsSync("/etc/alternatives")) return;
  mkdirSync(folder);
  for (const entry of readdirSync("/etc/alternatives", { withFileTypes: true })) {
    const target = entry.isSymbolicLink() ? readlinkSync(join("/etc/alternatives", entry.name)) : "";
    if (/^\/usr\/(local\/)?(s?bin|lib)\//.test(target)) symlinkSync(target, join(folder, entry.name));
  }
}

/** Whom this host trusts to say who is who: public, and needed to reach what the network allows. */
function copyAuthorities(folder: string): void {
  const bundle = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"].find(existsSync);
  if (!bundle) return;
  mkdirSync(folder, { recursive: true });
  copyFileSync(bundle, join(folder, "ca-certificates.crt"));
  symlinkSync("certs/ca-certificates.crt", join(dirname(folder), "cert.pem"));
}

/** What a bind mount needs to be there: a folder for a folder, a file for a file. */
function makeTarget(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  if (statSync(from).isDirectory()) mkdirSync(to, { recursive: true });
  else writeFileSync(to, "", { flag: "a" });
}
