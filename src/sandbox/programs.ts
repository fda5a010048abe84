import { closeSync, existsSync, openSync, readdirSync, readSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** A path of this host that a box shows read-only under /opt. */
export type Shown = { from: string; to: string };

/** A program that a box can offer: what to show for it, links to lay beside it, and the folder for PATH. */
export type Program = {
  name: string;
  file: string;
  shown: Shown[];
  links: { at: string; to: string }[];
  folder: string;
};

const boxFolders = ["/usr/local/bin", "/usr/bin", "/bin"];

/**
 * Finds a program for the boxes, null when this host has none. What lives in /usr is there anyway. What lives elsewhere,
 * in the folder of a version manager say, is shown at /opt/NAME: the program and its own library, and nothing of what
 * lies beside them. `node` is the one this worker runs on. A script that chooses a version (a shim) is passed over.
 */
export function findProgram(name: string, searchPath: string): Program | null {
  const own = name === "node" ? [process.execPath] : [];
  const candidates = [
    ...own,
    ...[...boxFolders, ...searchPath.split(":").filter(Boolean)].map((folder) => join(folder, name)),
  ];
  const found = candidates.find((path) => existsSync(path) && isBinary(path));
  if (!found) return null;
  const inside = boxFolders.includes(dirname(found));
  const file = realpathSync(found);
  if (inside && file.startsWith("/usr/")) return { name, file, shown: [], links: [], folder: dirname(found) };
  if (inside && dirname(found) === "/bin") return { name, file, shown: [], links: [], folder: "/bin" };
  return { name, file, ...installation(name, file), folder: `/opt/${name}/bin` };
}

/** The program's file, and from its installation only the library that belongs to it. */
function installation(name: string, file: string): Pick<Program, "shown" | "links"> {
  const prefix = dirname(dirname(file));
  const home = `/opt/${name}`;
  const shown = [{ from: file, to: `${home}/bin/${name}` }];
  if (basename(dirname(file)) !== "bin") return { shown, links: [] };
  if (name === "node") {
    const npm = join(prefix, "lib/node_modules/npm");
    if (!existsSync(npm)) return { shown, links: [] };
    return {
      shown: [...shown, { from: npm, to: `${home}/lib/node_modules/npm` }],
      links: ["npm", "npx"].map((tool) => ({
        at: `${home}/bin/${tool}`,
        to: `../lib/node_modules/npm/bin/${tool}-cli.js`,
      })),
    };
  }
  const library = join(prefix, "lib");
  const parts = existsSync(library) ? readdirSync(library).filter((part) => /^(lib)?python3/.test(part)) : [];
  const python = name.startsWith("python") ? parts : [];
  return {
    shown: [...shown, ...python.map((part) => ({ from: join(library, part), to: `${home}/lib/${part}` }))],
    links: [],
  };
}

function isBinary(path: string): boolean {
  try {
    const file = openSync(path, "r");
    const head = Buffer.alloc(4);
    readSync(file, head, 0, 4, 0);
    closeSync(file);
    return head.equals(Buffer.from("\x7fELF", "latin1"));
  } catch {
    return false;
  }
}
