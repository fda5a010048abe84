import { z } from "zod";

/** A host's name as it is compared: small letters, no dot at the end. An address that is none is no name either. */
const HostName = z
  .string()
  .max(253)
  .refine(
    (name) => isHostName(name.replace(/^\*\.(?=[^.]+\.)/, "")),
    "is not a host name in small letters, or *. and one",
  );

/** Who may be reached: a name, all names below one (`*.example.org`), or an address or range, which may then be a private one. */
export const Destination = z.strictObject({
  host: z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6(), HostName]),
  ports: z.array(z.number().int().min(1).max(65_535)).min(1).max(16),
});
export type Destination = z.infer<typeof Destination>;

/** Whether a text is a host's name: labels of letters, digits, - and _, and in the last one a letter. */
export function isHostName(text: string): boolean {
  const labels = text.split(".");
  return (
    text.length <= 253 &&
    labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)) &&
    /[a-z]/.test(labels.at(-1) ?? "")
  );
}

const networkShape = {
  mode: z.enum(["none", "allowlist"]), // allowlist: still no interface, but a proxy of the worker's that decides
  allow: z.array(Destination).max(256),
  bytes: z.number().int().min(0), // through the proxy, both ways together
  on_attempt: z.enum(["fail", "record"]), // `fail` ends a run that reaches for what it may not, `record` notes it
};

/** Some of it: what is left out is as it was. */
export const NetworkWish = z.strictObject(networkShape).partial();

/** What of the network is there. */
export const Network = z.strictObject({
  ...networkShape,
  allow: networkShape.allow.default([]),
  bytes: networkShape.bytes.default(1_073_741_824),
});
export type Network = z.infer<typeof Network>;

/** What both allow. */
export function narrow(given: Network, wished: Network): Network {
  const both = (value: string, of: (network: Network) => string) => of(given) === value && of(wished) === value;
  return {
    mode: both("allowlist", ({ mode }) => mode) ? "allowlist" : "none",
    allow: wished.allow.filter((one) => isCovered(one, given.allow)),
    bytes: Math.min(given.bytes, wished.bytes),
    on_attempt: both("record", ({ on_attempt }) => on_attempt) ? "record" : "fail",
  };
}

/** Whether a list has this destination too: by the same words, or by all names below one. */
export function isCovered({ host, ports }: Destination, list: Destination[]): boolean {
  return ports.every((port) =>
    list.some((wide) => wide.ports.includes(port) && (wide.host === host || isBelow(host, wide.host))),
  );
}

/** Whether a name is below what `*.` stands before. */
export function isBelow(name: string, wide: string): boolean {
  return wide.startsWith("*.") && name.endsWith(wide.slice(1)) && name.length > wide.length - 1;
}
