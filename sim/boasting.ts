import { IdLayout } from "../src/ids/layout.ts";
import type { Clock } from "../src/ports/clock.ts";
import type { Channel, Duplex, Network } from "../src/ports/network.ts";

const LAYOUT = new IdLayout();

/** The network of a client that lies: whatever it submits, it says that it has seen an id so far in the future. */
export function boasting(network: Network, clock: Clock, aheadMs: number): Network {
  const seen = () => LAYOUT.compose({ utcMs: clock.wallMs() + aheadMs, worker: 0, counter: 0 });
  return {
    channel: (address) => {
      const channel = network.channel(address);
      const duplex: Channel["duplex"] = (method) => boast(channel.duplex(method), seen);
      return {
        unary: channel.unary.bind(channel),
        serverStream: channel.serverStream.bind(channel),
        duplex,
        close: () => channel.close(),
      };
    },
  };
}

function boast<Out, In>(stream: Duplex<Out, In>, seen: () => bigint): Duplex<Out, In> {
  return {
    write: (frame) => {
      const { frame: inner } = frame as { frame?: { case?: string; value?: object } };
      const lie =
        inner?.case === "submit" ? { ...frame, frame: { ...inner, value: { ...inner.value, aboveId: seen() } } } : frame;
      return stream.write(lie);
    },
    drained: () => stream.drained(),
    frames: stream.frames,
    close: (error) => stream.close(error),
  };
}
