import { chmodSync, chownSync, constants, mkdirSync, openSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { fds, starterCommand } from "./chain.ts";
import { readable } from "./folder.ts";
import { quote, quoteAll } from "./quote.ts";
import { openShell, type Shell } from "./shell.ts";
import type { Tool } from "./tools.ts";

/** What a box begins with open, at this worker's end. */
export type Pipes = { control: Socket; stdout: Socket; stderr: Socket; report: Socket };

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
  begin(script: string, given: { args: string[]; filter: string }): Begun;
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
};

/** A small disk of a yard's, for what it needs itself. */
export type Desk = { inYard: string; here: string }; // here: how this process reaches it

const outputs = ["stdout", "stderr", "report"] as const;
const names = ["control", ...outputs] as const;

/** Opens one. Throws `sandbox_unavailable` with what the system said. */
export async function openStarter({ desk, name, shell, tools, enter, uid, ...rest }: StarterPlan): Promise<Starter> {
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
  const starter = openShell(starterCommand({ tools, uid, enter: within, ...rest }));
  await starter.order(":");
  await shell.order(quoteAll([tools.umount, "-l", place]));

  /** Opens the pipes for the box's user, or closes them for everybody. */
  function allow(mode: number, owner: number | null): void {
    for (const pipe of names) {
      chmodSync(join(folder, pipe), mode);
      if (owner !== null) chownSync(join(folder, pipe), owner, owner);
    }
  }

  return {
    begin(script, { args, filter }) {
      readable(() => writeFileSync(join(folder, "args"), args.map((argument) => `${argument}\0`).join("")));
      allow(0o600, uid);
      const pipes: Pipes = {
        control: openPipe(join(folder, "control"), "write"),
        stdout: openPipe(join(folder, "stdout"), "read"),
        stderr: openPipe(join(folder, "stderr"), "read"),
        report: openPipe(join(folder, "report"), "read"),
      };
      const files = [
        `${fds.control}<control`,
        ...outputs.map((pipe) => `${fds[pipe]}>${pipe}`),
        `${fds.args}<args ${fds.about}>&${fds.report} ${fds.filter}<${quote(filter)}`,
      ];
      let sealed = false;
      const order = `:; (${script}) ${files.join(" ")}`; // alone in its line, dash would forget its files
      const over = starter.order(order).then(
        () => "",
        (thrown: Error) => thrown.message,
      );
      const closed = [pipes.stdout, pipes.stderr].map(
        (pipe) => new Promise<void>((resolve) => pipe.once("close", () => resolve())),
      );
      return {
        ...pipes,
        seal() {
          sealed = true;
          allow(0, uid === null ? null : 0);
        },
        ended: over.then(async (words) => {
          pipes.control.destroy();
          pipes.report.destroy();
          if (!sealed) for (const pipe of [pipes.stdout, pipes.stderr]) pipe.destroy(); // perhaps without another end
          await Promise.all(closed);
          return words;
        }),
      };
    },
    isEnded: starter.isEnded,
    close: starter.close,
  };
}

/** One end of a pipe that has a name. Whoever writes holds the other end too: there is no reader yet. */
function openPipe(path: string, use: "read" | "write"): Socket {
  const flags = constants.O_NONBLOCK | (use === "read" ? constants.O_RDONLY : constants.O_RDWR);
  const pipe = new Socket({ fd: openSync(path, flags), readable: use === "read", writable: use === "write" });
  pipe.on("error", () => {}); // a box that cannot be made or is gone: `ended` tells it
  return pipe;
}
