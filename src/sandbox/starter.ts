import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { pipes, starterCommand } from "./chain.ts";
import { readable } from "./folder.ts";
import { type Orders, openOrders, openPipe } from "./pipe.ts";
import { quoteAll } from "./quote.ts";
import { openShell, type Shell } from "./shell.ts";
import type { Tool } from "./tools.ts";

/** What a box begins with open, at this worker's end. */
export type Pipes = { control: Orders; stdout: Socket; stderr: Socket; report: Socket };

/** A box that a starter has begun. */
export type Begun = Pipes & {
  seal(): void; // it has opened its pipes: from now on nobody else may, not even by the names they have in the box
  ended: Promise<string>; // nothing of it is left and all it printed was read; what there was to complain of
};

/**
 * A shell that waits in the yard, as the user of one box at a time: it begins the box, waits for its end, and begins the
 * next. A small process makes another one much sooner than this large one could, and what all boxes of a user have in
 * common is done once. It ends with this process, and its box with it.
 *
 * Its pipes have names, in a place that is mounted read-only and then let go of: so the names say nothing of this host to
 * a box that looks at its open files, and who has such a file open can neither open it once more nor change its mode.
 */
export type Starter = {
  pid: number;
  begin(script: string, args: string[]): Begun;
  isEnded(): boolean;
  close(): void;
};

export type StarterPlan = {
  desk: Desk; // where its pipes are
  name: string; // that no other one has
  shell: Shell; // of the yard
  tools: Record<Tool, string>;
  clear: string[];
  enter: string[];
  openFiles: number; // the most that any box may be given
  uid: number | null;
  accounts: string[]; // folders for it to have open
};

/** A small disk of a yard's, for what it needs itself. */
export type Desk = { inYard: string; here: string }; // here: how this process reaches it

const names = [pipes.in, ...pipes.out] as const;

/** Opens one. Throws `sandbox_unavailable` with what the system said. */
export async function openStarter({
  desk,
  name,
  shell,
  tools,
  enter,
  uid,
  accounts,
  ...rest
}: StarterPlan): Promise<Starter> {
  const folder = join(desk.here, name);
  readable(() => mkdirSync(folder));
  const place = `${join(desk.inYard, name)}-place`;
  readable(() => mkdirSync(`${folder}-place`));
  await shell.order(
    [
      [tools.mkfifo, "-m", "0", ...names.map((pipe) => join(desk.inYard, name, pipe))],
      [tools.mount, "--bind", join(desk.inYard, name), place],
      [tools.mount, "-o", "remount,bind,ro,nosuid,nodev", place],
    ]
      .map(quoteAll)
      .join(" && "),
  );
  const within = [...enter, `--wd=${folder}-place`];
  const starter = openShell(starterCommand({ tools, uid, enter: within, ...rest }), accounts);
  await starter.order(":");
  await shell.order(quoteAll([tools.umount, "-l", place]));

  if (uid !== null) for (const pipe of names) chownSync(join(folder, pipe), 0, uid); // who opens one owns none

  /** Opens the pipes for the box's user, or closes them for everybody. */
  function allow(isOpen: boolean): void {
    for (const pipe of names) chmodSync(join(folder, pipe), isOpen ? (uid === null ? 0o600 : 0o060) : 0);
  }

  return {
    pid: starter.pid,
    begin(script, args) {
      readable(() => writeFileSync(join(folder, pipes.args), args.map((argument) => `${argument}\0`).join("")));
      allow(true);
      const ends: Pipes = {
        control: openOrders(join(folder, "control")),
        stdout: openPipe(join(folder, "stdout")),
        stderr: openPipe(join(folder, "stderr")),
        report: openPipe(join(folder, "report")),
      };
      let sealed = false;
      const over = starter.order(`(${script})`).then(
        () => "",
        (thrown: Error) => thrown.message,
      );
      const closed = [ends.stdout, ends.stderr].map(
        (pipe) => new Promise<void>((resolve) => pipe.once("close", () => resolve())),
      );
      return {
        ...ends,
        seal() {
          sealed = true;
          allow(false);
        },
        ended: over.then(async (words) => {
          ends.control.destroy();
          ends.report.destroy();
          if (!sealed) for (const pipe of [ends.stdout, ends.stderr]) pipe.destroy(); // perhaps without another end
          await Promise.all(closed);
          return words;
        }),
      };
    },
    isEnded: starter.isEnded,
    close: starter.close,
  };
}
