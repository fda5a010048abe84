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
