import { join, resolve } from "node:path";
import { type Round, type Row, runKit } from "../../../bench/hostile/kit.ts";
import { exitCodes } from "../../app/child.ts";
import { kitEnvironment, readConfig } from "../../app/config.ts";
import { packageRoot } from "../../app/paths.ts";
import { Failure } from "../../contracts/failure.ts";
import { duration, json, note, paint, say, table } from "../output.ts";

type Options = { json?: boolean; kit: string; plain: string };

/** `dagent sandbox kit`: hostile programs, ours and strangers', through the door, as root and as a plain user. */
export async function kit(only: string[], options: Options): Promise<void> {
  const plain = userOf(options.plain);
  const asked = {
    main: join(packageRoot, "dist/src/cli/main.js"),
    folder: join(packageRoot, "bench/hostile/programs"),
    kit: resolve(options.kit),
    only,
    env: kitEnvironment(readConfig()),
    tell: (row: Row) =>
      note(`${mark(row)}  ${row.program.padEnd(28)}  ${duration(row.ms).padStart(7)}  ${row.reason ?? ""} ${row.saw}`),
  };
  const rounds: Round[] = [];
  const root = process.getuid?.() === 0;
  rounds.push(await runKit(asked, root ? "root" : `user ${process.getuid?.()}`));
  if (root) rounds.push(await runKit(asked, `user ${plain}`, { uid: plain, gid: plain }));

  const rows = rounds.flatMap(({ rows: all }) => all);
  const count = (wanted: Row["ended"]) => rows.filter(({ ended }) => ended === wanted).length;
  const total = { passed: count("contained"), failed: count("not contained"), not_run: count("not run") };
  if (options.json) json({ ...total, rounds });
  else {
    const lines = rounds.map((round) => [
      round.user,
      round.class ?? "no class",
      ...["ours", "kit"].map((set) => wordsFor(round, set)),
    ]);
    say(table([["as", "class", "ours", "kit"], ...lines]));
    say(`\n${total.passed} passed, ${total.failed} failed, ${total.not_run} not run`);
  }
  const promised = rows.filter(({ ended, saw }) => ended === "not run" && !saw.startsWith("not promised"));
  process.exitCode = total.failed > 0 ? exitCodes.failed : promised.length > 0 ? exitCodes.unavailable : exitCodes.ok;
}

function wordsFor({ rows }: Round, set: string): string {
  const own = rows.filter((row) => row.set === set);
  const contained = own.filter(({ ended }) => ended === "contained").length;
  const run = own.filter(({ ended }) => ended !== "not run").length;
  return run === 0 ? "not run" : `${contained} of ${run} contained`;
}

function mark({ ended }: Row): string {
  if (ended === "contained") return paint("green", "ok  ");
  return ended === "not run" ? paint("yellow", "none") : paint("red", "FAIL");
}

function userOf(text: string): number {
  const uid = Number(text);
  if (Number.isSafeInteger(uid) && uid > 0) return uid;
  throw new Failure("invalid_request", `--plain is the number of a plain user; this is ${text}`);
}
