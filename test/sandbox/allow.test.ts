import fc from "fast-check";
import { expect, test } from "vitest";
import { Destination } from "../../src/contracts/network.ts";
import { isListed, isPublic, mayReach, plainHost } from "../../src/sandbox/allow.ts";

const list: Destination[] = [
  { host: "registry.example.org", ports: [443] },
  { host: "*.cdn.example.org", ports: [80, 443] },
  { host: "192.168.7.0/24", ports: [8080] },
  { host: "fd00::7", ports: [443] },
];

test.each([
  ["REGISTRY.Example.org.", "registry.example.org"],
  ["[::1]", "::1"],
  ["[::ffff:10.0.0.1]", "10.0.0.1"],
  ["::FFFF:7f00:1", "127.0.0.1"],
  ["2130706433", null],
  ["0x7f.1", null],
  ["127.1", null],
  ["a b", null],
  ["user@host", null],
  ["host\0", null],
  ["", null],
  ["é.example.org", null],
])("writes the host %j as %j", (given, plain) => {
  expect(plainHost(given)).toBe(plain);
});

test.each([
  ["registry.example.org", 443, true],
  ["registry.example.org", 80, false],
  ["evil-registry.example.org", 443, false],
  ["registry.example.org.evil.test", 443, false],
  ["a.cdn.example.org", 80, true],
  ["a.b.cdn.example.org", 443, true],
  ["cdn.example.org", 443, false],
  ["evilcdn.example.org", 443, false],
  ["192.168.7.9", 8080, true],
  ["192.168.8.9", 8080, false],
  ["fd00::7", 443, true],
  ["8.8.8.8", 443, false],
])("says of %s, port %i, whether it is listed: %s", (host, port, listed) => {
  expect(isListed(list, host, port)).toBe(listed);
});

test.each([
  ...["0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "172.31.255.255"],
  ...[
    "192.168.0.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
  ],
  ...[
    "fc00::1",
    "ff02::1",
    "64:ff9b::a00:1",
    "2002:7f00:1::1",
    "2001:0:1::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "nonsense",
  ],
])("takes %s for no public address", (address) => {
  expect(isPublic(address)).toBe(false);
});

test.each(["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])(
  "takes %s for a public address",
  (address) => {
    expect(isPublic(address)).toBe(true);
  },
);

test("takes a private address only where the list names it, whatever the spelling", () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.constantFrom(443, 8080), (address, port) => {
      const [a, b, c, d] = address.split(".").map(Number) as [number, number, number, number];
      const mapped = `::ffff:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
      const listed = address.startsWith("192.168.7.") && port === 8080;

      expect(mayReach(list, address, port)).toBe(isPublic(address) || listed);
      expect(mayReach(list, mapped, port)).toBe(mayReach(list, address, port));
    }),
  );
});

test.each([
  "*",
  "*.",
  "*.org",
  "a..b",
  "-a.org",
  "A.org",
  "a.org.",
  "10.0.0.0/33",
  "1.2.3",
  "http://a.org",
  "a.org:443",
])("refuses the destination %j in a file", (host) => {
  expect(Destination.safeParse({ host, ports: [443] }).success).toBe(false);
});

test.each(["a.org", "localhost", "*.a.org", "10.0.0.0/8", "::1", "fd00::/8", "xn--bcher-kva.example", "_x.a.org"])(
  "takes the destination %j in a file",
  (host) => {
    expect(Destination.safeParse({ host, ports: [443] }).success).toBe(true);
  },
);
