import { createSocket } from "node:dgram";
import { createServer as createHttp, type Server as Http } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SandboxLimits } from "../../src/contracts/limits.ts";
import { openBoxes, shipped } from "./ground.ts";

const boxes = await openBoxes();
const python = boxes.ground?.profiles.includes("python") ?? false;
afterAll(() => boxes.close());

describe.skipIf(!boxes.ground)(`the network ${boxes.title}`, () => {
  let server: Server;
  let touched = 0;
  beforeAll(async () => {
    server = createServer((socket) => {
      touched++;
      socket.destroy();
    });
    await new Promise<void>((up) => server.listen(0, "127.0.0.1", up));
  });
  afterAll(() => void server.close());

  test("cannot be reached by TCP, and reaching for the world is named", async () => {
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const home = await boxes.run({
      profile: "node",
      steps: [["node", "-e", `require("net").connect(${port}, "127.0.0.1").on("error", (e) => console.log(e.code))`]],
    });
    const away = await boxes.run({
      profile: "node",
      steps: [["node", "-e", `require("net").connect(80, "203.0.113.7").on("error", (e) => console.log(e.code))`]],
    });

    expect(home).toMatchObject({ reason: null, out: ["ECONNREFUSED\n"] });
    expect(away).toMatchObject({ reason: "network", limit: "none" });
    expect(touched).toBe(0);
  });

  test("gets no datagram, and a look-up of a name is named too", async () => {
    const seen = await boxes.run({
      profile: "node",
      steps: [
        ["node", "-e", `require("dns").lookup("example.com", (e) => console.log(e.code)); setTimeout(() => {}, 400)`],
      ],
    });

    expect(seen.reason).toBe("network");
  });

  test("records an attempt where the limits say so, and lets the program go on", async () => {
    const lenient = await openBoxes({
      ...shipped,
      profiles: { node: { programs: ["node"], binds: [], environment: {}, network: { on_attempt: "record" } } },
    });
    try {
      const program = `const s = require("dgram").createSocket("udp4"); s.send("x", 9, "203.0.113.7", (e) => { console.log(e?.code); s.close(); })`;
      const seen = await lenient.run({ profile: "node", steps: [["node", "-e", program]] });

      expect(seen).toMatchObject({ reason: null, also: ["network"], out: ["ENETUNREACH\n"] });
    } finally {
      await lenient.close();
    }
  });

  test.skipIf(!python)(
    "opens no socket but unix, inet and netlink route: not vsock, which no namespace cuts",
    async () => {
      const families = [3, 9, 17, 21, 29, 31, 38, 40, 44];
      const { out } = await boxes.run({
        profile: "python",
        steps: [
          [
            "python3",
            "-c",
            `import socket
for family, kind, protocol in [(f, t, 0) for f in ${JSON.stringify(families)} for t in (1, 2, 3, 5)] + [(16, 3, 9), (16, 3, 15), (2, 3, 1)]:
    try: socket.socket(family, kind, protocol); print('OPEN', family, kind, protocol)
    except OSError: pass
socket.socket(1, 1); socket.socket(2, 1); socket.socket(10, 2); socket.socket(16, 3, 0); print('end')`,
          ],
        ],
      });

      expect(out[0]).toBe("end\n");
    },
  );
});

describe.skipIf(!boxes.ground)("an allowlist", () => {
  const classes = [boxes.ground?.class ?? "strict", "rootless"] as const;
  let server: Http;
  let lists: Awaited<ReturnType<typeof openBoxes>>[];
  beforeAll(async () => {
    const packument = (tarball: string) => ({
      name: "tiny",
      "dist-tags": { latest: "1.0.0" },
      versions: { "1.0.0": { name: "tiny", version: "1.0.0", dist: { tarball } } },
    });
    server = createHttp(({ url, headers }, reply) => {
      if (url === "/tiny") reply.end(JSON.stringify(packument(`http://${headers.host}/tiny.tgz`)));
      else if (url === "/tiny.tgz") reply.end(tarOf("package/package.json", '{"name":"tiny","version":"1.0.0"}'));
      else if (url === "/plain") reply.end("outside");
      else reply.writeHead(404).end();
    });
    await new Promise<void>((up) => server.listen(0, "127.0.0.2", up));
    const network = { mode: "allowlist" as const, allow: [{ host: "127.0.0.2", ports: [port()] }] };
    const profiles = {
      install: { ...shipped.profiles.node, programs: ["node"], binds: [], environment: {}, network },
      watched: {
        programs: ["node"],
        binds: [],
        environment: {},
        network: { ...network, on_attempt: "record" as const },
      },
      closed: { programs: ["node"], binds: [], environment: {} },
    };
    const maximum = { ...shipped.maximum, network: { ...shipped.maximum.network, ...network } };
    lists = await Promise.all(
      classes.map((name) => openBoxes(SandboxLimits.parse({ ...shipped, classes: [name], profiles, maximum }))),
    );
  });
  afterAll(async () => {
    for (const each of lists) await each.close();
    server.close();
  });
  const port = () => (server.address() as AddressInfo).port;
  const get = (host: string) =>
    `require("http").get({ port: 3128, path: "http://${host}:${port()}/plain" }, (a) => a.on("data", (b) => console.log(a.statusCode, String(b))))`;

  test.each([0, 1])("lets npm install from what it names, and nothing else (class %i)", async (which) => {
    const seen = await lists[which]?.run({
      profile: "install",
      steps: [
        `npm install --registry http://127.0.0.2:${port()} --no-audit --no-fund tiny >&2 && cat node_modules/tiny/package.json`,
      ],
    });

    expect(seen?.err[0]).toContain("added 1 package");
    expect(seen).toMatchObject({ reason: null, also: [], out: ['{"name":"tiny","version":"1.0.0"}'] });
  });

  test.each([0, 1])("ends a run that asks for another host, and names it (class %i)", async (which) => {
    const seen = await lists[which]?.run({
      profile: "install",
      steps: [["node", "-e", `${get("127.0.0.1")}; setTimeout(() => {}, 9000)`]],
    });

    expect(seen).toMatchObject({
      reason: "network",
      limit: "allowlist",
      observed: `127.0.0.1:${port()} is not on the list`,
    });
  });

  test("records it where the limits say so", async () => {
    const seen = await lists[0]?.run({ profile: "watched", steps: [["node", "-e", get("127.0.0.1")]] });

    expect(seen).toMatchObject({ reason: null, also: ["network"], steps: [{ code: 0 }] });
    expect(seen?.out[0]).toContain("403");
  });

  test("leaves no way but through it: what does not ask is an attempt as ever", async () => {
    const direct = `require("net").connect(${port()}, "127.0.0.2").on("error", (e) => console.log(e.code)).on("connect", () => console.log("REACHED"))`;
    const seen = await lists[0]?.run({ profile: "install", steps: [["node", "-e", direct]] });
    const away = await lists[0]?.run({
      profile: "install",
      steps: [["node", "-e", `require("net").connect(80, "203.0.113.7").on("error", () => setTimeout(() => {}, 400))`]],
    });

    expect(seen?.out[0]).toBe("ECONNREFUSED\n");
    expect(away?.reason).toBe("network");
  });

  test("is not there for a profile without one, nor for a run that wishes for none", async () => {
    const closed = await lists[0]?.run({
      profile: "closed",
      steps: ["env | grep -ci proxy", ["node", "-e", get("127.0.0.2")]],
    });
    const wished = await lists[0]?.run({
      profile: "install",
      steps: [["node", "-e", get("127.0.0.2")]],
      limits: { network: { mode: "none" } },
    });

    expect(closed?.out[0]).toBe("0\n");
    expect(wished?.err[0]).toContain("ECONNREFUSED");
  });
});

/** One file as a gzipped archive, as a registry hands it out. */
function tarOf(name: string, text: string): Buffer {
  const head = Buffer.alloc(512);
  const put = (value: string, at: number) => head.write(value, at, "latin1");
  put(name, 0);
  put("0000644\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(`${text.length.toString(8).padStart(11, "0")}\0`, 124);
  put("00000000000\0", 136);
  put("        ", 148);
  put("0", 156);
  put("ustar\x0000", 257);
  put(
    `${head
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  const body = Buffer.alloc(Math.ceil(text.length / 512) * 512);
  body.write(text);
  return gzipSync(Buffer.concat([head, body, Buffer.alloc(1024)]));
}

test("a datagram socket of the host hears nothing from a box", { skip: !boxes.ground }, async () => {
  const socket = createSocket("udp4");
  let heard = 0;
  socket.on("message", () => heard++);
  await new Promise<void>((up) => socket.bind(0, "127.0.0.1", up));
  const program = `const s = require("dgram").createSocket("udp4"); s.send("x", ${socket.address().port}, "127.0.0.1", () => s.close())`;

  const { steps } = await boxes.run({ profile: "node", steps: [["node", "-e", program]] });
  socket.close();

  expect({ code: steps[0]?.code, heard }).toEqual({ code: 0, heard: 0 });
});
