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
import type { Program } from "./programs.ts";

/** What a worker keeps on disk while it runs: the /etc and /opt of its boxes, and a place to mount their disks on. */
export type Folder = {
  path: string;
  etc: string;
  opt: string;
  disk: string; // an empty folder; every box mounts its own disk over it, where nobody else sees it
  close(): void;
};

/** The files of /etc in a box. Its name server leads nowhere, so that a look-up is an attempt that can be counted. */
const etc: Record<string, string> = {
  passwd: "sandbox:x:1000:1000::/box:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
  group: "sandbox:x:1000:\nnogroup:x:65534:\n",
  hosts: "127.0.0.1 localhost sandbox\n::1 localhost\n",
  "resolv.conf": "nameserver 192.0.2.1\noptions timeout:1 attempts:1\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
};

/** Makes the folder of this worker. Nothing in it is secret: a box may read all of it. */
export function openFolder(programs: Program[]): Folder {
  const path = join(parentFolder(), newIdentity());
  const folder = { path, etc: join(path, "etc"), opt: join(path, "opt"), disk: join(path, "disk") };
  const umask = process.umask(0o022);
  mkdirSync(path, { recursive: true });
  for (const each of [folder.etc, folder.opt, folder.disk]) mkdirSync(each);
  for (const [name, text] of Object.entries(etc)) writeFileSync(join(folder.etc, name), text);
  if (existsSync("/etc/ld.so.cache")) copyFileSync("/etc/ld.so.cache", join(folder.etc, "ld.so.cache"));
  copyAlternatives(join(folder.etc, "alternatives"));
  copyAuthorities(join(folder.etc, "ssl/certs"));
  for (const { shown, links } of programs) {
    for (const { from, to } of shown) makeTarget(from, folder.opt + to.slice("/opt".length));
    for (const { at, to } of links) symlinkSync(to, folder.opt + at.slice("/opt".length));
  }
  process.umask(umask);
  return { ...folder, close: () => rmSync(path, { recursive: true, force: true }) };
}

/** Removes the folders of workers that are gone. Answers how many. */
export function sweepFolders(): number {
  const parent = parentFolder();
  const left = readdirSync(parent).filter((name) => !isAlive(name));
  for (const name of left) rmSync(join(parent, name), { recursive: true, force: true });
  return left.length;
}

/** The folder of all workers of this user. Throws `sandbox_unavailable` when somebody else has laid it there. */
function parentFolder(): string {
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
  if (statSync(from).isDirectory()) mkdirSync(to);
  else writeFileSync(to, "");
}
