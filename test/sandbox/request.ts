import type { RunRequest } from "../../src/contracts/sandbox.ts";

/** What the workers of a test must present. */
export const token = "a-token-of-the-test";

/** A signal that does not fire. */
export const never = new AbortController().signal;

/** A run of one script. */
export const script = (text: string, rest: Partial<RunRequest> = {}): RunRequest => ({
  traceId: "0123456789abcdef0123456789abcdef",
  tenant: "acme",
  profile: "shell",
  files: {},
  steps: [{ name: "only", argv: ["sh", "-c", text] }],
  collect: [],
  ...rest,
});
