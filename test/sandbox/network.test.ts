import { createSocket } from "node:dgram";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
