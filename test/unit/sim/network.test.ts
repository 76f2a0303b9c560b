import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { MemoryNetwork } from "../../../sim/network.ts";
import { MeridianService, type SessionResponse } from "../../../src/gen/meridian/v1/client_pb.ts";
import type { MeridianError } from "../../../src/kernel/errors.ts";
import type { Channel, Handlers } from "../../../src/ports/network.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

type Service = Handlers<typeof MeridianService>;

const { locate, session } = MeridianService.method;

describe("MemoryNetwork", () => {
  let clock: VirtualClock;
  let network: MemoryNetwork;
  let channel: Channel;
  let brokeAt: { who: string; ms: number }[];

  const echo: Service["session"] = async (stream) => {
    try {
      for await (const { frame } of stream.frames) {
        if (frame.case === "ping") stream.write({ frame: { case: "pong", value: { nonce: frame.value.nonce } } });
      }
    } catch (error) {
      brokeAt.push({ who: "handler", ms: clock.monotonicMs() });
      throw error;
    }
  };

  function serve(): { close(): void } {
    const none = async () => ({});
    const rest = Object.fromEntries(MeridianService.methods.map(({ localName }) => [localName, none]));
    return network.serve("far:7401", [{ service: MeridianService, handlers: { ...rest, session: echo } }]);
  }

  /** Collects what comes back, with its time of arrival. */
  function listen(frames: AsyncIterable<SessionResponse>) {
    const arrivals: { nonce: bigint; ms: number }[] = [];
    const over = (async () => {
      for await (const { frame } of frames) {
        if (frame.case === "pong") arrivals.push({ nonce: frame.value.nonce, ms: clock.monotonicMs() });
      }
    })().catch((error: MeridianError) => {
      brokeAt.push({ who: `caller: ${error.code}`, ms: clock.monotonicMs() });
    });
    return { arrivals, over };
  }

  const ping = (nonce: bigint) => ({ frame: { case: "ping", value: { nonce } } }) as const;

  beforeEach(() => {
    clock = new VirtualClock();
    brokeAt = [];
    const latencyMs = (from: string, to: string) => (from === "near" && to === "far" ? 30 : 50);
    network = new MemoryNetwork({ clock, latencyMs, telemetry: new MemoryTelemetry() });
    serve();
    channel = network.from("near").channel("far:7401");
  });

  it("takes the latency of each direction, by the place of the address", async () => {
    await clock.until(channel.unary(locate, {}, { deadlineMs: 1_000 }));

    expect(clock.monotonicMs()).toBe(80);
  });

  it("ends a call by the clock at its deadline, to the millisecond", async () => {
    const call = channel.unary(locate, {}, { deadlineMs: 79 });

    await expect(clock.until(call)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(clock.monotonicMs()).toBe(79);
  });

  it("keeps the order of frames even when the latency shrinks in between", async () => {
    const stream = channel.duplex(session);
    const { arrivals } = listen(stream.frames);
    stream.write(ping(1n));
    await clock.advance(10);
    stream.write(ping(2n));
    stream.write(ping(3n));
    await clock.advance(200);

    expect(arrivals).toEqual([
      { nonce: 1n, ms: 80 },
      { nonce: 2n, ms: 90 },
      { nonce: 3n, ms: 90 },
    ]);
  });

  it("delivers what a cut held back when it heals in time, in order", async () => {
    const stream = channel.duplex(session);
    const { arrivals } = listen(stream.frames);
    stream.write(ping(1n));
    await clock.advance(40);
    network.cut("far", "near");
    stream.write(ping(2n));
    await clock.advance(10_000);
    expect(arrivals).toEqual([]);

    network.heal("near", "far");
    stream.write(ping(3n));
    await clock.advance(200);

    expect(arrivals.map(({ nonce }) => nonce)).toEqual([1n, 2n, 3n]);
    expect(brokeAt).toEqual([]);
  });

  it("breaks both ends of a stream after 15 s of silence, one that begins during the cut as well", async () => {
    const stream = channel.duplex(session);
    const first = listen(stream.frames);
    stream.write(ping(1n));
    await clock.advance(1_000);
    network.cut("near", "far");
    await clock.advance(5_000);
    const second = listen(channel.duplex(session).frames);
    await clock.until(first.over);
    await clock.until(second.over);
    network.heal("near", "far");
    await clock.advance(60_000);

    expect(brokeAt).toEqual([
      { who: "handler", ms: 16_000 },
      { who: "caller: UNAVAILABLE", ms: 16_000 },
      { who: "caller: UNAVAILABLE", ms: 21_000 },
    ]);
    expect(first.arrivals).toHaveLength(1);
  });

  it("leaves other places alone when a link is cut", async () => {
    network.cut("near", "far");

    await clock.until(network.from("elsewhere").channel("far:7401").unary(locate, {}, { deadlineMs: 1_000 }));
  });

  it("breaks the streams of a place or an address at once, and takes new ones", async () => {
    for (const what of ["near", "far", "far:7401"]) {
      const { over } = listen(channel.duplex(session).frames);
      await clock.advance(100);
      network.breakStreams("elsewhere");
      network.breakStreams(what);
      await clock.until(over);
    }

    expect(brokeAt.map(({ who }) => who)).toEqual(Array(3).fill(["handler", "caller: UNAVAILABLE"]).flat());
    await clock.until(channel.unary(locate, {}, { deadlineMs: 1_000 }));
  });

  it("lets another server listen where one has closed", async () => {
    expect(() => serve()).toThrow(/is served already/);
    const other = network.serve("far:7411", []);
    other.close();
    other.close();
    network.serve("far:7411", []);
  });

  it("takes the same course each time, to the event", async () => {
    const course = async () => {
      const time = new VirtualClock();
      const again = new MemoryNetwork({ clock: time, latencyMs: () => 7, telemetry: new MemoryTelemetry() });
      const rest = Object.fromEntries(MeridianService.methods.map(({ localName }) => [localName, async () => ({})]));
      again.serve("a:1", [{ service: MeridianService, handlers: { ...rest, session: echo } }]);
      const events: string[] = [];
      const readers = ["x", "y"].map(async (name) => {
        const stream = again.from(name).channel("a:1").duplex(session);
        for (let i = 0n; i < 20n; i += 1n) stream.write(ping(i));
        stream.close();
        for await (const { frame } of stream.frames) {
          if (frame.case === "pong") events.push(`${time.monotonicMs()} ${name} ${frame.value.nonce}`);
        }
      });
      await time.until(Promise.all(readers));
      return events;
    };

    const events = await course();

    expect(events).toHaveLength(40);
    expect(await course()).toEqual(events);
  });
});
