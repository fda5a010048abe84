import { BlockList, isIP } from "node:net";
import { type Destination, isBelow, isHostName } from "../contracts/network.ts";

/** Networks of version 4 that are not the public internet: the special-purpose registry of IANA (RFC 6890). */
const notPublic4: [network: string, prefix: number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16], // the metadata of clouds too
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];

/** Of version 6 only 2000::/3 is public, and in it not what leads elsewhere: Teredo, documentation, 6to4. */
const public6 = listOf([["2000::", 3]], "ipv6");
const notPublic6 = listOf(
  [
    ["2001::", 23],
    ["2001:db8::", 32],
    ["2002::", 16],
    ["3fff::", 20],
  ],
  "ipv6",
);
const private4 = listOf(notPublic4, "ipv4");

function listOf(networks: [string, number][], family: "ipv4" | "ipv6"): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, family);
  return list;
}

/** Whether an address is one of the public internet. What is no address is not. */
export function isPublic(address: string): boolean {
  const plain = plainAddress(address);
  if (isIP(plain) === 4) return !private4.check(plain, "ipv4");
  return isIP(plain) === 6 && public6.check(plain, "ipv6") && !notPublic6.check(plain, "ipv6");
}

/** A name as it is compared: small letters, no dot at the end; an address without brackets. null: neither. */
export function plainHost(host: string): string | null {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare)) return plainAddress(bare);
  const name = bare.toLowerCase().replace(/\.$/, "");
  return isHostName(name) ? name : null;
}

/** An address of version 4 that is written as one of version 6 is one of version 4. */
function plainAddress(address: string): string {
  if (isIP(address) !== 6) return address;
  const url = new URL(`http://[${address.replace(/%.*$/, "")}]`);
  const short = url.hostname.slice(1, -1); // one spelling for each address
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return short;
  const bytes = [high, low].flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255]);
  return bytes.join(".");
}

/** Whether the list names this host, in the spelling of `plainHost`, with this port. */
export function isListed(list: Destination[], host: string, port: number): boolean {
  return list.some(
    (one) =>
      one.ports.includes(port) && (isIP(host) ? holds(one.host, host) : one.host === host || isBelow(host, one.host)),
  );
}

/**
 * Whether the address that a name was found to have may be reached: a public one, or one that the list itself names. A
 * name that anybody can point anywhere (DNS rebinding) opens no way into the host's own network.
 */
export function mayReach(list: Destination[], address: string, port: number): boolean {
  return isPublic(address) || isListed(list, plainAddress(address), port);
}

/** Whether an entry of the list is this address, or a range around it. */
function holds(entry: string, address: string): boolean {
  const [network = "", prefix] = entry.split("/");
  const version = isIP(network);
  if (version === 0 || version !== isIP(address)) return false;
  if (prefix === undefined) return plainAddress(network) === address;
  const family = version === 4 ? "ipv4" : "ipv6";
  return listOf([[network, Number(prefix)]], family).check(address, family);
}
