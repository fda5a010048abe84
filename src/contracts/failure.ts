/**
 * Every way this system says no.
 *
 * status  what HTTP answers
 * retry   whether the bus tries the message again by itself
 * blame   who caused it: `caller` and `nobody` never open a circuit and never cost an agent its score
 */
export const failures = {
  invalid_request: { status: 400, retry: false, blame: "caller" },
  invalid_message: { status: 400, retry: false, blame: "caller" },
  invalid_idempotency_key: { status: 400, retry: false, blame: "caller" },
  unknown_intent: { status: 400, retry: false, blame: "caller" },
  unknown_tenant: { status: 400, retry: false, blame: "caller" },
  unknown_role: { status: 400, retry: false, blame: "caller" },
  shard_out_of_range: { status: 400, retry: false, blame: "caller" },
  priority_out_of_range: { status: 400, retry: false, blame: "caller" },
  ttl_out_of_range: { status: 400, retry: false, blame: "caller" },
  delay_out_of_range: { status: 400, retry: false, blame: "caller" },
  text_not_storable: { status: 400, retry: false, blame: "caller" },
  unauthorized: { status: 401, retry: false, blame: "caller" },
  forbidden: { status: 403, retry: false, blame: "caller" },
  not_found: { status: 404, retry: false, blame: "caller" },
  method_not_allowed: { status: 405, retry: false, blame: "caller" },
  conflict: { status: 409, retry: false, blame: "caller" },
  payload_too_large: { status: 413, retry: false, blame: "caller" },
  unsupported_media_type: { status: 415, retry: false, blame: "caller" },
  idempotency_conflict: { status: 422, retry: false, blame: "caller" },
  nothing_to_test: { status: 422, retry: false, blame: "caller" },
  install_failed: { status: 422, retry: false, blame: "caller" },
  tests_failed: { status: 422, retry: false, blame: "caller" },
  approval_refused: { status: 403, retry: false, blame: "nobody" },
  approval_expired: { status: 410, retry: false, blame: "nobody" },
  budget_exhausted: { status: 402, retry: false, blame: "caller" },
  too_many_requests: { status: 429, retry: true, blame: "caller" },

  no_candidate: { status: 503, retry: true, blame: "system" },
  model_not_configured: { status: 503, retry: false, blame: "system" },
  model_unreachable: { status: 502, retry: true, blame: "agent" },
  model_busy: { status: 503, retry: true, blame: "agent" },
  model_answer_invalid: { status: 502, retry: true, blame: "agent" },
  empty_answer: { status: 502, retry: true, blame: "agent" },
  model_refused: { status: 502, retry: false, blame: "agent" },
  agent_failed: { status: 502, retry: true, blame: "agent" },
  agent_unreachable: { status: 502, retry: true, blame: "agent" },
  agent_busy: { status: 503, retry: true, blame: "agent" },
  agent_answer_invalid: { status: 502, retry: true, blame: "agent" },
  agent_refused: { status: 502, retry: false, blame: "agent" },
  agent_silent: { status: 504, retry: false, blame: "agent" },
  callback_early: { status: 425, retry: true, blame: "nobody" },
  callback_expired: { status: 410, retry: false, blame: "agent" },
  address_forbidden: { status: 502, retry: false, blame: "agent" },
  budget_spent: { status: 422, retry: false, blame: "agent" },
  never_green: { status: 422, retry: false, blame: "agent" },

  sandbox_violation: { status: 422, retry: true, blame: "caller" },
  sandbox_unavailable: { status: 503, retry: true, blame: "system" },
  worker_lost: { status: 503, retry: true, blame: "system" },

  lease_lost: { status: 409, retry: false, blame: "system" },
  attempt_timeout: { status: 504, retry: true, blame: "agent" },
  attempts_spent: { status: 503, retry: false, blame: "system" },
  expired: { status: 504, retry: false, blame: "caller" },
  cancelled: { status: 409, retry: false, blame: "caller" },
  config_invalid: { status: 500, retry: false, blame: "system" },
  database_unavailable: { status: 503, retry: true, blame: "system" },
  gateway_unreachable: { status: 503, retry: true, blame: "system" },
  internal: { status: 500, retry: true, blame: "system" },
} as const satisfies Record<
  string,
  { status: number; retry: boolean; blame: "caller" | "agent" | "system" | "nobody" }
>;

export type FailureCode = keyof typeof failures;

/** The only error thrown on purpose. Anything else is a bug, and is retried as one. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: FailureCode;
  readonly details: Record<string, unknown>;

  /** `message` says what was wrong and what to do next; `details` are kept in the event and shown to the caller. */
  constructor(
    code: FailureCode,
    message: string,
    { cause, ...details }: { cause?: unknown; [detail: string]: unknown } = {},
  ) {
    super(message, { cause });
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return failures[this.code].status;
  }

  get retry(): boolean {
    return failures[this.code].retry;
  }
}

/** What is kept of a failure once it is a fact: in events, dead letters and traces. */
export type FailureRecord = { code: FailureCode; message: string; details: Record<string, unknown> };

/** Any thrown thing as a Failure: what we did not foresee is `internal`. */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Failure("internal", message, { cause: thrown });
}

/** The stored form of a failure. The cause stays out: it goes to the log, not to a tenant. */
export function recordOf({ code, message, details }: Failure): FailureRecord {
  return { code, message, details };
}
