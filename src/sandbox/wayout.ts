import type { Network } from "../contracts/network.ts";
import type { Box } from "./box.ts";
import type { Ground } from "./ground.ts";
import { listenInside } from "./inside.ts";
import { type Refusal, serveProxy } from "./proxy.ts";

/** The way out of one box: none, or through a proxy that decides. The first refusals are told, all are counted. */
export type WayOut = {
  refused(): number;
  listen(hear: (refusal: Refusal) => void): void;
  close(): void;
};

const mostTold = 20;

/** Opens what the limits allow. Throws `sandbox_unavailable` when the way out cannot be opened. */
export async function openWayOut({ nsenter }: Pick<Ground, "nsenter">, box: Box, network: Network): Promise<WayOut> {
  let count = 0;
  let hear = (_: Refusal) => {};
  const listen = (listener: typeof hear) => {
    hear = listener;
  };
  if (network.mode === "none") return { refused: () => 0, listen, close() {} };

  const server = await listenInside({ nsenter, outside: box.outside, pid: box.pid });
  const proxy = serveProxy(server, {
    network,
    onRefused(refusal) {
      if (++count <= mostTold) hear(refusal);
    },
  });
  return { refused: () => count, listen, close: proxy.close };
}
