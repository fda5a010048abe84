import { type LookupAddress, lookup } from "node:dns";
import { Agent, type RequestInit as UndiciInit, fetch as undiciFetch } from "undici";
import { Failure } from "../contracts/failure.ts";
import type { OutboundPolicy } from "../contracts/policy.ts";
import { isPublic, plainHost } from "../sandbox/allow.ts";

/** Names that never lead to the public internet. */
const inside = /(?:^|\.)(?:localhost|local|internal|intranet|lan|home\.arpa)$/;

/** Why an agent's address may not be called, in words; null: it may. `current` is asked each time, so an edit counts. */
export function refuserBy(current: () => OutboundPolicy): (url: string) => string | null {
  return (url) => {
    const { private_addresses, except } = current();
    if (private_addresses === "allow") return null;
    const { hostname } = new URL(url);
    const host = plainHost(hostname) ?? hostname;
    if (except.includes(host) || !isPrivate(host)) return null;
    return `${host} is a private address, and configs/outbound.json forbids those; name it in its "except" to allow it`;
  };
}

/** An address that is not of the public internet, a name without a dot, or one that is used inside only. */
function isPrivate(host: string): boolean {
  if (/^[\d.]+$/.test(host) || host.includes(":")) return !isPublic(host);
  return !host.includes(".") || inside.test(host);
}

/**
 * `fetch` for calls to agents. The address is checked when it is connected to: a name may lead elsewhere than it did when
 * the agent was registered, and what was checked is what is connected to. Redirects are not followed. Throws
 * `address_forbidden`.
 */
export function guardedFetch(current: () => OutboundPolicy, resolve: Resolve = lookup): typeof fetch {
  const refuses = refuserBy(current);
  const agent = new Agent({
    connect: {
      lookup(host, options, done) {
        resolve(host, { ...options, all: true }, (error, found) => {
          if (error) return done(error, []);
          const forbidden = allows(current(), host) ? null : found.find(({ address }) => !isPublic(address));
          if (!forbidden)
            return options.all ? done(null, found) : done(null, found[0]?.address ?? "", found[0]?.family);
          const why = `${host} leads to ${forbidden.address}, a private address, and configs/outbound.json forbids those`;
          done(new Failure("address_forbidden", why), []);
        });
      },
    },
  });
  return async (input, init) => {
    const url = String(input instanceof Request ? input.url : input);
    const why = refuses(url);
    if (why) throw new Failure("address_forbidden", why);
    const sent = { ...(input instanceof Request && requestInit(input)), ...init };
    try {
      // Node's fetch is this library too, in another version: to the compiler they are strangers.
      const ask = { ...sent, redirect: "manual", dispatcher: agent } as unknown as UndiciInit;
      return (await undiciFetch(url, ask)) as unknown as Response;
    } catch (error) {
      throw forbiddenIn(error) ?? error;
    }
  };
}

type Resolve = (
  host: string,
  options: { all: true },
  done: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void;

function allows({ private_addresses, except }: OutboundPolicy, host: string): boolean {
  return private_addresses === "allow" || except.includes(plainHost(host) ?? host);
}

function requestInit({ method, headers, body, signal }: Request) {
  return { method, headers, body, signal, ...(body && { duplex: "half" }) };
}

/** A failure of ours at the bottom of an error of the library. */
function forbiddenIn(error: unknown): Failure | null {
  for (let one: unknown = error; one instanceof Error; one = one.cause) if (one instanceof Failure) return one;
  return null;
}
