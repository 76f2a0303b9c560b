import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SystemClock } from "../../../../src/adapters/system/clock.ts";
import { DelayProxy } from "../../../../src/adapters/wan/delay-proxy.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import type { Clock } from "../../../../src/ports/clock.ts";

const ONE_WAY_MS = 20;
const clock = new SystemClock({ errorMs: 1 });

/** A server that does with each connection what the test says. */
class Target {
  readonly sockets: Socket[] = [];
  readonly server: Server;

  constructor(serve: (socket: Socket) => void) {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      this.sockets.push(socket);
      serve(socket);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

const echo = (socket: Socket) => {
  socket.on("data", (chunk) => socket.write(chunk));
  socket.on("end", () => socket.end());
};

describe("the delay proxy", () => {
  const closing: (() => Promise<unknown>)[] = [];

  const open = async (serve: (socket: Socket) => void, options: { readonly clock?: Clock; readonly oneWayMs?: number } = {}) => {
    const target = new Target(serve);
    const address = await target.listen();
    const proxy = await DelayProxy.listen({
      clock,
      oneWayMs: ONE_WAY_MS,
      ...options,
      listen: "127.0.0.1:0",
      target: () => address,
    });
    closing.push(
      () => proxy.close(),
      () => target.close(),
    );
    return { target, proxy };
  };

  /** A client whose errors are kept for the test to look at. */
  const client = async ({ address }: DelayProxy) => {
    const socket = connect({ port: Number(address.split(":")[1]), host: "127.0.0.1", allowHalfOpen: true });
    const errors: string[] = [];
    socket.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code ?? error.message));
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    closing.push(async () => socket.destroy());
    await Promise.race([new Promise<void>((resolve) => socket.once("connect", resolve)), closed]);
    return { socket, errors, closed };
  };

  const received = async (socket: Socket, bytes: number): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= bytes) break;
    }
    return Buffer.concat(chunks);
  };

  beforeEach(() => closing.splice(0));
  afterEach(async () => {
    for (const close of closing.toReversed()) await close();
  });

  it("carries bytes there and back, neither way before the delay", async () => {
    const arrivals: number[] = [];
    const { proxy } = await open((socket) => {
      socket.on("data", () => arrivals.push(performance.now()));
      echo(socket);
    });
    const { socket } = await client(proxy);
    const sentMs = performance.now();
    socket.write("ping");
    expect((await received(socket, 4)).toString()).toBe("ping");
    expect((arrivals[0] ?? 0) - sentMs).toBeGreaterThanOrEqual(ONE_WAY_MS);
    expect(performance.now() - sentMs).toBeGreaterThanOrEqual(2 * ONE_WAY_MS);
  });

  it("keeps every byte in order, many small writes and large ones, with few timers", async () => {
    let timers = 0;
    const counting: Clock = {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      time: () => clock.time(),
      nextTurn: () => clock.nextTurn(),
      after: (delayMs, fire) => {
        timers += 1;
        return clock.after(delayMs, fire);
      },
    };
    const { proxy } = await open(echo, { clock: counting });
    const { socket } = await client(proxy);
    const startMs = performance.now();
    const sent: Buffer[] = [];
    for (let at = 0; at < 3_000; at += 1) sent.push(Buffer.from(`${at},`));
    sent.push(Buffer.alloc(3_000_000, 7));
    let turns = 0;
    for (const part of sent) {
      socket.write(part);
      // Every few writes a packet of their own.
      if (turns++ % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const whole = Buffer.concat(sent);
    expect(Buffer.compare(await received(socket, whole.length), whole)).toBe(0);
    const passedMs = performance.now() - startMs;
    expect(timers).toBeLessThanOrEqual(2 * (passedMs + 2));
  });

  it("carries the end of one side while the other goes on", async () => {
    const { proxy } = await open((socket) => {
      const got: Buffer[] = [];
      socket.on("data", (chunk) => got.push(chunk));
      socket.on("end", () => socket.end(`after the end: ${Buffer.concat(got)}`));
    });
    const { socket, closed, errors } = await client(proxy);
    socket.end("all");
    expect((await received(socket, Number.POSITIVE_INFINITY)).toString()).toBe("after the end: all");
    await closed;
    expect(errors).toEqual([]);
    await expect.poll(() => proxy.connections).toBe(0);
  });

  it("passes a reset on, from either side", async () => {
    const { proxy, target } = await open(() => {});
    const first = await client(proxy);
    await expect.poll(() => target.sockets.length).toBe(1);
    target.sockets[0]?.resetAndDestroy();
    await first.closed;
    expect(first.errors).toEqual(["ECONNRESET"]);
    const second = await client(proxy);
    await expect.poll(() => target.sockets.length).toBe(2);
    const far = target.sockets[1] as Socket;
    const reset = new Promise<string>((resolve) =>
      far.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "")),
    );
    second.socket.resetAndDestroy();
    expect(await reset).toBe("ECONNRESET");
    await expect.poll(() => proxy.connections).toBe(0);
  });

  it("resets its connections when it is cut, loses what is under way, and resets new ones until it is restored", async () => {
    const arrived: string[] = [];
    const { proxy, target } = await open((socket) => {
      socket.on("data", (chunk) => arrived.push(chunk.toString()));
      echo(socket);
    });
    const before = await client(proxy);
    before.socket.write("first");
    await received(before.socket, 5);
    const ended = new Promise<void>((resolve) => target.sockets[0]?.once("close", () => resolve()));
    before.socket.write("lost");
    await new Promise((resolve) => setImmediate(resolve));
    proxy.cut();
    await Promise.all([before.closed, ended]);
    expect(before.errors).toEqual(["ECONNRESET"]);
    expect(arrived).toEqual(["first"]);
    const during = await client(proxy);
    await during.closed;
    expect(during.errors).toEqual(["ECONNRESET"]);
    expect(target.sockets).toHaveLength(1);
    proxy.restore();
    const after = await client(proxy);
    after.socket.write("again");
    expect((await received(after.socket, 5)).toString()).toBe("again");
  });

  it("resets the caller when nobody listens behind it", async () => {
    const { proxy, target } = await open(echo);
    await target.close();
    closing.pop();
    const { closed, errors } = await client(proxy);
    await closed;
    expect(errors).toEqual(["ECONNRESET"]);
  });

  it("stops reading a sender whose receiver does not read, and goes on when it does [G9]", async () => {
    const { proxy, target } = await open((socket) => socket.pause(), { oneWayMs: 1 });
    const { socket } = await client(proxy);
    const chunk = Buffer.alloc(64 * 1024, 1);
    const total = 8 * LIMITS.proxyBufferBytes;
    let written = 0;
    const write = () => {
      for (let goOn = true; goOn && written < total; written += chunk.length) goOn = socket.write(chunk);
    };
    socket.on("drain", write);
    write();
    // Until nothing moves any more: all windows are full.
    for (let before = -1; before !== written; ) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const kernelBytes = 4 * LIMITS.proxyBufferBytes;
    expect(written).toBeGreaterThan(LIMITS.proxyBufferBytes);
    expect(written).toBeLessThan(LIMITS.proxyBufferBytes + kernelBytes);
    expect((await received(target.sockets[0] as Socket, total)).length).toBe(total);
  });

  it("says why it cannot listen", async () => {
    const { proxy } = await open(echo);
    const taken = DelayProxy.listen({ clock, oneWayMs: 1, listen: proxy.address, target: () => "127.0.0.1:1" });
    await expect(taken).rejects.toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining(proxy.address) });
  });
});
