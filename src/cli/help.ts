/** What `dagent sandbox exec --help` says besides its options. */
export const execHelp = `
Reads {"argv": [...], "files": {path: base64}, "limits": {...}, "collect": [path]} and carries it out in a box.
limits has the shape of a profile in sandbox_limits.json; what it leaves out comes from the defaults.

Exit codes: 0 carried out, whatever the command's own end, 2 the request is wrong, 69 this machine cannot isolate,
70 a bug, 78 wrong configuration. With --keep-open: 0 all were carried out, else the code of the last that was not.`;

/** What `dagent sandbox kit --help` says besides its options. */
export const kitHelp = `
Exit codes: 0 all were contained, 1 one was not, 69 a part could not be run (no kit, no sandbox), 78 wrong configuration.`;

/** What `dagent bench …` and `dagent eval …` say besides their options. */
export const measuredHelp =
  "\nExit codes: 0 it was measured (the goals say whether it is enough, `not_run` what was missing), 1 it could not be, 2 wrong usage.";

/** What `dagent run --help` says besides its options. */
export const runHelp = `
Sends what git tracks and what is new and not ignored. A system is started for it when none runs; nothing of it can
reach the network or this machine's files.

Exit codes: 0 green, 1 red or ended by a limit, 2 nothing to test or a patch that does not apply, 69 no sandbox here.`;

/** What `dagent approvals --help` says besides its commands. */
export const approvalsHelp = `
Whether somebody is asked, when and who may answer is in configs/approvals.json; by default nobody is.

Exit codes: 0 well, 1 there is no such approval, it was answered before, has expired, or you may not, 2 wrong usage,
69 no system runs here.`;

/** What `dagent traces --help` says besides its options. */
export const tracesHelp = `
Exit codes: 0 well, also when there are none, 1 the gateway refused, 2 wrong usage, 69 no system runs here.`;

/** What `dagent down --help` says besides its options. */
export const downHelp = `
What is in hand is finished first, for 25 seconds at most. A launcher that was killed leaves its database behind: that is
stopped too.

Exit codes: 0 nothing runs any more, also when nothing did, 1 it did not end in time.`;
