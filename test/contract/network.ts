import type { MessageShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AdminService } from "../../src/gen/meridian/v1/admin_pb.ts";
import { MeridianService, type SessionRequest, type SessionResponse } from "../../src/gen/meridian/v1/client_pb.ts";
import { Deferred } from "../../src/kernel/deferred.ts";
import { MeridianError } from "../../src/kernel/errors.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import type { Channel, Handlers, Network, ServiceRegistration } from "../../src/ports/network.ts";
import type { MemoryTelemetry } from "../support/telemetry.ts";

type Service = Handlers<typeof MeridianService>;

/** One network under test, on real or on virtual time. */
export interface NetworkBench {
  readonly network: Network;
  readonly telemetry: MemoryTelemetry;
  /** Serves at `address`, or at a new one. */
  serve(services: readonly ServiceRegistration[], address?: string): Promise<BenchServer>;
  /** Lets time pass until the work is done. */
  run<T>(work: Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface BenchServer {
  readonly address: string;
  /** Breaks the connections, not the server. */
  reset(): void;
  stop(): Promise<void>;
}

const { locate, send, tail, session } = MeridianService.method;
const DEADLINE_MS = 5_000;

/** What the domain may expect of any network. */
export function describeNetwork(name: string, open: () => NetworkBench): void {
  describe(name, () => {
    let bench: NetworkBench;

    beforeEach(() => {
      bench = open();
    });

    afterEach(async () => {
      await bench.close();
    });

    /** A server with these handlers, and a channel to it. */
    async function connected(handlers: Partial<Service>): Promise<{ server: BenchServer; channel: Channel }> {
      const server = await bench.serve([registration(handlers)]);
      return { server, channel: bench.network.channel(server.address) };
    }

    describe("a unary call", () => {
      it("brings the request to the handler and its answer back, 64-bit numbers and bytes unharmed", async () => {
        const body = new Uint8Array([0, 255, 128]);
        let got: MessageShape<typeof send.input> | undefined;
        const { channel } = await connected({
          send: async (request) => {
            got = request;
            return { seq: 2n ** 53n + 1n, id: 2n ** 64n - 1n };
          },
        });

        const answer = await bench.run(
          channel.unary(send, { conversation: "chat", body, base: 7n }, { deadlineMs: DEADLINE_MS }),
        );

        expect(answer).toMatchObject({ seq: 2n ** 53n + 1n, id: 2n ** 64n - 1n });
        expect(got).toMatchObject({ conversation: "chat", base: 7n });
        expect([...(got?.body ?? [])]).toEqual([...body]);
      });

      it("fails with the handler's error: code, message, retry, advice and details", async () => {
        const { channel } = await connected({
          locate: async () => {
            throw new MeridianError("NOT_LEADER", "ask näher ☃", { advice: "Go there.", details: { leader: "eu-1:7401" } });
          },
        });

        const error = await failure(bench.run(channel.unary(locate, {}, { deadlineMs: DEADLINE_MS })));

        expect(error).toMatchObject({
          code: "NOT_LEADER",
          message: "ask näher ☃",
          retry: "elsewhere",
          advice: "Go there.",
          details: { leader: "eu-1:7401" },
        });
        expect(bench.telemetry.lines).toEqual([]);
      });

      it("fails with INTERNAL when the handler has a bug, and the bug is logged with its stack", async () => {
        const { channel } = await connected({
          locate: () => Promise.reject(new TypeError("x is not a function")),
        });

        const error = await failure(bench.run(channel.unary(locate, {}, { deadlineMs: DEADLINE_MS })));

        expect(error).toMatchObject({ code: "INTERNAL", message: "x is not a function" });
        expect(bench.telemetry.events()).toEqual(["rpc.bug"]);
        expect(bench.telemetry.lines[0]?.fields).toMatchObject({
          path: "/meridian.v1.MeridianService/Locate",
          stack: expect.stringContaining("TypeError: x is not a function\n"),
        });
      });

      it("ends with UNAVAILABLE at its deadline, and the handler learns that nobody waits [G9]", async () => {
        const aborted = new Deferred<unknown>();
        const { channel } = await connected({
          locate: async (_request, { signal }) => {
            signal.addEventListener("abort", () => aborted.resolve(signal.reason));
            await aborted.promise;
            return {};
          },
        });

        const error = await failure(bench.run(channel.unary(locate, {}, { deadlineMs: 500 })));

        expect(error.code).toBe("UNAVAILABLE");
        expect(await bench.run(aborted.promise)).toMatchObject({ code: "UNAVAILABLE" });
      });

      it("ends with UNAVAILABLE when its signal is aborted, before the call or during it", async () => {
        const began = new Deferred<void>();
        const aborted = new Deferred<void>();
        const { channel } = await connected({
          locate: async (_request, { signal }) => {
            signal.addEventListener("abort", () => aborted.resolve());
            began.resolve();
            await aborted.promise;
            return {};
          },
        });

        const early = channel.unary(locate, {}, { deadlineMs: DEADLINE_MS, signal: AbortSignal.abort() });
        expect((await failure(bench.run(early))).code).toBe("UNAVAILABLE");

        const abort = new AbortController();
        const call = failure(channel.unary(locate, {}, { deadlineMs: DEADLINE_MS, signal: abort.signal }));
        await bench.run(began.promise);
        abort.abort();
        expect((await bench.run(call)).code).toBe("UNAVAILABLE");
        await bench.run(aborted.promise);
      });

      it("to an address where nobody listens fails with UNAVAILABLE", async () => {
        const { server, channel } = await connected({});
        await bench.run(server.stop());

        const error = await failure(bench.run(channel.unary(locate, {}, { deadlineMs: DEADLINE_MS })));

        expect(error.code).toBe("UNAVAILABLE");
      });

      it("to a service that is not served fails with INVALID_ARGUMENT", async () => {
        const { channel } = await connected({});

        const call = channel.unary(AdminService.method.getStatus, {}, { deadlineMs: DEADLINE_MS });

        expect((await failure(bench.run(call))).code).toBe("INVALID_ARGUMENT");
      });

      it("refuses a request above the frame limit with TOO_LARGE [G9]", async () => {
        const { channel } = await connected({ send: async () => ({}) });

        const call = channel.unary(send, { body: new Uint8Array(LIMITS.frameBytes) }, { deadlineMs: DEADLINE_MS });

        expect(await failure(bench.run(call))).toMatchObject({
          code: "TOO_LARGE",
          details: { limit: String(LIMITS.frameBytes) },
        });
      });

      it("fails with TOO_LARGE when the answer is above the frame limit [G9]", async () => {
        const { channel } = await connected({ locate: async () => ({ home: "x".repeat(LIMITS.frameBytes) }) });

        const error = await failure(bench.run(channel.unary(locate, {}, { deadlineMs: DEADLINE_MS })));

        expect(error.code).toBe("TOO_LARGE");
      });
    });

    describe("a server stream", () => {
      it("brings all messages in order, then ends", async () => {
        const { channel } = await connected({
          tail: async function* ({ conversation }) {
            for (let seq = 1n; seq <= 300n; seq += 1n) yield { message: { seq, sender: conversation } };
          },
        });

        const seqs: bigint[] = [];
        await bench.run(
          (async () => {
            for await (const { message } of channel.serverStream(tail, { conversation: "chat" })) seqs.push(message?.seq ?? 0n);
          })(),
        );

        expect(seqs).toEqual(Array.from({ length: 300 }, (_, i) => BigInt(i + 1)));
      });

      it("throws the handler's error after the messages that were read", async () => {
        const read = new Deferred<void>();
        const { channel } = await connected({
          tail: async function* () {
            yield { message: { seq: 1n } };
            await read.promise;
            throw new MeridianError("TRUNCATED", "gone", { details: { first: "9" } });
          },
        });

        const stream = channel.serverStream(tail, {})[Symbol.asyncIterator]();
        expect((await bench.run(stream.next())).value.message.seq).toBe(1n);
        read.resolve();

        expect(await failure(bench.run(stream.next()))).toMatchObject({ code: "TRUNCATED", details: { first: "9" } });
      });

      it("ends the handler's generator and aborts its signal when the reader breaks out", async () => {
        const aborted = new Deferred<void>();
        const returned = new Deferred<void>();
        const { channel } = await connected({
          tail: async function* (_request, { signal }) {
            signal.addEventListener("abort", () => aborted.resolve());
            try {
              yield { message: { seq: 1n } };
              await aborted.promise;
              yield { message: { seq: 2n } };
            } finally {
              returned.resolve();
            }
          },
        });

        await bench.run(
          (async () => {
            for await (const _ of channel.serverStream(tail, {})) break;
          })(),
        );

        await bench.run(aborted.promise);
        await bench.run(returned.promise);
      });

      it("holds the handler back while the reader does nothing [G9]", async () => {
        let made = 0;
        const { channel } = await connected({
          tail: async function* () {
            for (; made < 400; made += 1) yield { message: { seq: BigInt(made), body: new Uint8Array(128 * 1024) } };
          },
        });
        const reader = channel.serverStream(tail, {})[Symbol.asyncIterator]();

        await bench.run(reader.next());
        // Round trips enough for an unbounded handler to come to its end.
        for (let i = 0; i < 20; i += 1) await failure(bench.run(channel.unary(locate, {}, { deadlineMs: DEADLINE_MS })));

        expect(made).toBeLessThan(400);
        let read = 1;
        while ((await bench.run(reader.next())).done !== true) read += 1;
        expect(read).toBe(400);
      });
    });

    describe("a duplex stream", () => {
      it("carries frames both ways in order, and ends for both", async () => {
        const { channel } = await connected({
          session: async (stream) => {
            for await (const frame of stream.frames) stream.write(pong(nonceOf(frame)));
          },
        });
        const stream = channel.duplex(session);

        const nonces = Array.from({ length: 500 }, (_, i) => BigInt(i));
        for (const nonce of nonces) stream.write(ping(nonce));
        stream.close();

        expect(await bench.run(readAll(stream.frames))).toEqual(nonces);
      });

      it("lets the handler go on sending after the caller has ended its side", async () => {
        const { channel } = await connected({
          session: async (stream) => {
            const got = await readAll(stream.frames);
            for (const nonce of [...got, 100n]) stream.write(pong(nonce));
          },
        });
        const stream = channel.duplex(session);

        stream.write(ping(1n));
        stream.close();
        stream.close();
        expect(stream.write(ping(2n))).toBe(false);

        expect(await bench.run(readAll(stream.frames))).toEqual([1n, 100n]);
      });

      it("is over for the caller when the handler closes it, and what the caller writes then is dropped", async () => {
        const { channel } = await connected({
          session: async (stream, { signal }) => {
            stream.write(pong(1n));
            stream.close();
            expect(signal.aborted).toBe(false);
          },
        });
        const stream = channel.duplex(session);

        expect(await bench.run(readAll(stream.frames))).toEqual([1n]);
        expect(stream.write(ping(1n))).toBe(false);
        await bench.run(stream.drained());
      });

      it("gives the caller the error that the handler closes it with, or throws", async () => {
        const { channel } = await connected({
          session: async (stream) => {
            for await (const frame of stream.frames) {
              const error = new MeridianError("OVERLOADED", "too fast", { details: { wait: "9" } });
              if (nonceOf(frame) === 1n) throw error;
              stream.close(error);
            }
          },
        });

        for (const nonce of [1n, 2n]) {
          const stream = channel.duplex(session);
          stream.write(ping(nonce));
          const error = await failure(bench.run(readAll(stream.frames)));
          expect(error).toMatchObject({ code: "OVERLOADED", message: "too fast", details: { wait: "9" } });
        }
      });

      it("breaks for the handler with UNAVAILABLE when the caller closes it with an error", async () => {
        const handler = new Deferred<{ error: MeridianError; reason: unknown }>();
        const began = new Deferred<void>();
        const { channel } = await connected({
          session: async (stream, { signal }) => {
            began.resolve();
            const error = await failure(readAll(stream.frames));
            handler.resolve({ error, reason: signal.reason });
            throw error;
          },
        });
        const stream = channel.duplex(session);
        stream.write(ping(1n));
        await bench.run(began.promise);

        stream.close(new MeridianError("CORRUPT", "our own view"));

        expect((await failure(bench.run(readAll(stream.frames)))).code).toBe("CORRUPT");
        const { error, reason } = await bench.run(handler.promise);
        expect(error.code).toBe("UNAVAILABLE");
        expect(reason).toBe(error);
        expect(bench.telemetry.lines).toEqual([]);
      });

      it("can still be broken by a caller that has ended its side", async () => {
        const ended = new Deferred<void>();
        const aborted = new Deferred<void>();
        const { channel } = await connected({
          session: async (stream, { signal }) => {
            signal.addEventListener("abort", () => aborted.resolve());
            await readAll(stream.frames);
            ended.resolve();
            await aborted.promise;
          },
        });
        const stream = channel.duplex(session);
        stream.close();
        await bench.run(ended.promise);

        stream.close(new MeridianError("UNAVAILABLE", "enough"));

        await bench.run(aborted.promise);
        expect(await failure(bench.run(readAll(stream.frames)))).toMatchObject({ message: "enough" });
      });

      it.each(["caller", "handler"] as const)(
        "makes a %s that writes too fast wait until the far side reads [G9]",
        async (side) => {
          const total = 400;
          const body = new Uint8Array(128 * 1024);
          const firstWait = new Deferred<number>();
          const read = new Deferred<number>();
          /** Writes more than the sockets and windows of any machine hold, and waits when it is told to. */
          const flood = async (write: () => boolean, stream: { drained(): Promise<void>; close(): void }) => {
            for (let written = 1; written <= total; written += 1) {
              if (write()) continue;
              firstWait.resolve(written);
              await stream.drained();
            }
            stream.close();
          };
          const readLater = async (frames: AsyncIterable<unknown>) => {
            await firstWait.promise;
            read.resolve(await count(frames));
          };
          const { channel } = await connected({
            session: (stream) => {
              if (side === "caller") return readLater(stream.frames);
              return flood(() => stream.write({ frame: { case: "delivery", value: { batches: [body] } } }), stream);
            },
          });
          const stream = channel.duplex(session);

          const items = [{ payload: body }];
          const ours =
            side === "caller"
              ? flood(() => stream.write({ frame: { case: "submit", value: { items } } }), stream)
              : readLater(stream.frames);

          expect(await bench.run(firstWait.promise)).toBeLessThan(total);
          await bench.run(ours);
          expect(await bench.run(read.promise)).toBe(total);
        },
      );

      it("is broken with OVERLOADED when its writer never waits [G9]", async () => {
        const began = new Deferred<void>();
        const broken = new Deferred<unknown>();
        const { channel } = await connected({
          session: async (_stream, { signal }) => {
            signal.addEventListener("abort", () => broken.resolve(signal.reason));
            began.resolve();
            await broken.promise;
          },
        });
        const stream = channel.duplex(session);
        await bench.run(began.promise);

        const items = [{ payload: new Uint8Array(3 * 1024 * 1024) }];
        for (let i = 0; i < 12; i += 1) stream.write({ frame: { case: "submit", value: { items } } });

        expect((await failure(bench.run(readAll(stream.frames)))).code).toBe("OVERLOADED");
        await bench.run(stream.drained());
        expect(await bench.run(broken.promise)).toMatchObject({ code: "UNAVAILABLE" });
      });

      it("comes to its end although the caller stopped reading in the middle", async () => {
        const done = new Deferred<void>();
        const { channel } = await connected({
          session: async (stream) => {
            for (let i = 0n; i < 1_000n; i += 1n) if (!stream.write(pong(i))) await stream.drained();
            await readAll(stream.frames);
            done.resolve();
          },
        });
        const stream = channel.duplex(session);

        await bench.run(
          (async () => {
            for await (const _ of stream.frames) break;
          })(),
        );
        stream.close();

        await bench.run(done.promise);
      });

      it("refuses to be iterated twice", async () => {
        const { channel } = await connected({ session: async () => {} });
        const stream = channel.duplex(session);

        await bench.run(readAll(stream.frames));

        expect((await failure(readAll(stream.frames))).code).toBe("INTERNAL");
      });
    });

    describe("when connections go", () => {
      it("the server's end breaks open streams with UNAVAILABLE, and the channel works again once it is back", async () => {
        const began = new Deferred<void>();
        const aborted = new Deferred<void>();
        const handlers: Partial<Service> = {
          session: async (stream, { signal }) => {
            signal.addEventListener("abort", () => aborted.resolve());
            began.resolve();
            await readAll(stream.frames);
          },
          locate: async () => ({ home: "again" }),
        };
        const { server, channel } = await connected(handlers);
        const stream = channel.duplex(session);
        stream.write(ping(1n));
        await bench.run(began.promise);

        const error = failure(readAll(stream.frames));
        await bench.run(server.stop());
        expect((await bench.run(error)).code).toBe("UNAVAILABLE");
        await bench.run(aborted.promise);

        await bench.serve([registration(handlers)], server.address);
        const again = async () => {
          // The channel may take the first calls to find out.
          for (let tries = 0; tries < 1_000; tries += 1) {
            const answer = await channel.unary(locate, {}, { deadlineMs: DEADLINE_MS }).catch(() => undefined);
            if (answer !== undefined) return answer.home;
          }
          return "never";
        };
        expect(await bench.run(again())).toBe("again");
      });

      it("a reset connection breaks both ends with UNAVAILABLE", async () => {
        const began = new Deferred<void>();
        const handler = new Deferred<MeridianError>();
        const { server, channel } = await connected({
          session: async (stream) => {
            began.resolve();
            handler.resolve(await failure(readAll(stream.frames)));
          },
        });
        const stream = channel.duplex(session);
        stream.write(ping(1n));
        await bench.run(began.promise);

        const caller = failure(readAll(stream.frames));
        server.reset();

        expect((await bench.run(caller)).code).toBe("UNAVAILABLE");
        expect((await bench.run(handler.promise)).code).toBe("UNAVAILABLE");
      });

      it("a closed channel breaks its calls and takes no new ones", async () => {
        const began = new Deferred<void>();
        const aborted = new Deferred<void>();
        const { channel } = await connected({
          locate: async (_request, { signal }) => {
            signal.addEventListener("abort", () => aborted.resolve());
            began.resolve();
            await aborted.promise;
            return {};
          },
        });
        const call = failure(channel.unary(locate, {}, { deadlineMs: DEADLINE_MS }));
        await bench.run(began.promise);

        channel.close();
        channel.close();

        expect((await bench.run(call)).code).toBe("UNAVAILABLE");
        await bench.run(aborted.promise);
        expect((await failure(channel.unary(locate, {}, { deadlineMs: DEADLINE_MS }))).code).toBe("UNAVAILABLE");
        expect(() => channel.duplex(session)).toThrow(MeridianError);
      });
    });
  });
}

/** The service with some of its methods; the others refuse. */
function registration(handlers: Partial<Service>): ServiceRegistration {
  const refuse = async () => {
    throw new MeridianError("NOT_FOUND", "not part of this test");
  };
  const all: Record<string, unknown> = {};
  for (const { localName } of MeridianService.methods) all[localName] = refuse;
  return { service: MeridianService, handlers: { ...all, ...handlers } };
}

function ping(nonce: bigint) {
  return { frame: { case: "ping", value: { nonce } } } as const;
}

function pong(nonce: bigint) {
  return { frame: { case: "pong", value: { nonce } } } as const;
}

function nonceOf({ frame }: SessionRequest | SessionResponse): bigint {
  return frame.case === "ping" || frame.case === "pong" ? frame.value.nonce : -1n;
}

async function readAll(frames: AsyncIterable<SessionRequest | SessionResponse>): Promise<bigint[]> {
  const nonces: bigint[] = [];
  for await (const frame of frames) nonces.push(nonceOf(frame));
  return nonces;
}

async function count(frames: AsyncIterable<unknown>): Promise<number> {
  let frameCount = 0;
  for await (const _ of frames) frameCount += 1;
  return frameCount;
}

/** The MeridianError that the work fails with: nothing else may come out of a network. */
async function failure(work: Promise<unknown>): Promise<MeridianError> {
  const error: unknown = await work.then(
    () => new Error("it did not fail"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MeridianError)) throw error;
  return error;
}
