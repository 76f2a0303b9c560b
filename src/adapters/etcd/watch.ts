/**
 * One watch, on a stream of its own, that ends with an error as soon as it cannot be relied on. What to do then is decided
 * by who watches: only they know which events they have taken.
 *
 * A stream can be silent for two reasons, and a watch must not take one for the other: nothing happens, or nothing comes
 * through. So the member is asked for its progress every few seconds. It is asked to end the stream when it loses its
 * leader, and the stream is left when the member leaves a call of anybody's without an answer.
 */
import type { ServiceError } from "@grpc/grpc-js";
import type { IWatchResponse } from "etcd3";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { BoundedQueue } from "../../kernel/queue.ts";
import type { Clock } from "../../ports/clock.ts";
import type { WatchAnswer } from "../../ports/coordinator.ts";
import type { Caller } from "./caller.ts";
import { decodeEvent, decodeHeader } from "./codec.ts";
import type { Endpoint, WatchStream } from "./endpoint.ts";
import { failureOf } from "./failure.ts";
import type { ClusterKeys } from "./keys.ts";

export interface EtcdWatchOptions {
  readonly caller: Caller;
  readonly clock: Clock;
  readonly keys: ClusterKeys;
  readonly prefix: string;
  readonly fromRevision: number;
}

export class EtcdWatch implements AsyncIterator<WatchAnswer, void, undefined> {
  readonly #options: EtcdWatchOptions;
  readonly #queue = new BoundedQueue<WatchAnswer>(LIMITS.coordinatorWatchQueue);
  readonly #steps = this.#queue[Symbol.asyncIterator]();
  readonly #releases: (() => void)[] = [];
  #cancelAsking: () => void = () => {};
  #state: "open" | "ended" | "left" = "open";
  #heardMs: number;

  constructor(options: EtcdWatchOptions) {
    this.#options = options;
    this.#heardMs = options.clock.monotonicMs();
    this.#open().catch((error: unknown) => this.#end(MeridianError.from(error)));
  }

  async next(): Promise<IteratorResult<WatchAnswer, void>> {
    return this.#state === "left" ? { done: true, value: undefined } : this.#steps.next();
  }

  /** Also ends a `next` that waits. */
  async return(): Promise<IteratorResult<WatchAnswer, void>> {
    this.#end(undefined);
    this.#state = "left";
    return { done: true, value: undefined };
  }

  async #open(): Promise<void> {
    const { caller, keys, prefix, fromRevision } = this.#options;
    const { endpoint, token } = await caller.ready();
    if (this.#state !== "open") return;
    const stream = endpoint.watch(token);
    this.#releases.push(() => stream.cancel());
    stream.on("data", (answer: IWatchResponse) => this.#take(answer, endpoint));
    stream.on("error", (error: ServiceError) => this.#fail(endpoint, failureOf(endpoint.address, error, error)));
    stream.on("end", () => this.#fail(endpoint, failureOf(endpoint.address, { code: 0, details: "it ended the watch" })));
    this.#releases.push(caller.endpoints.onSuspected(endpoint, () => this.#end(suspected(endpoint))));
    stream.write({
      create_request: {
        ...keys.under(prefix),
        start_revision: String(fromRevision),
        // Large answers come in parts; the events of one revision may then come in two.
        fragment: true,
      },
    });
    this.#askForProgress(stream, endpoint);
  }

  #take(answer: IWatchResponse, endpoint: Endpoint): void {
    const { clock, prefix, fromRevision } = this.#options;
    this.#heardMs = clock.monotonicMs();
    if (this.#state !== "open") return;
    if (answer.compact_revision !== "0") {
      const kept = `kept from ${answer.compact_revision} on only`;
      this.#end(truncated(`the changes of ${prefix} from revision ${fromRevision} on are ${kept}`));
    } else if (answer.canceled) {
      this.#fail(endpoint, failureOf(endpoint.address, { code: 0, details: answer.cancel_reason || "it cancelled the watch" }));
    } else if (answer.events.length > 0) {
      this.#push(answer);
    }
  }

  #push(answer: IWatchResponse): void {
    const { keys, prefix } = this.#options;
    try {
      const events = answer.events.map((event) => decodeEvent(event, keys));
      if (this.#queue.push({ header: decodeHeader(answer.header), events })) return;
      this.#end(truncated(`the watch of ${prefix} fell ${LIMITS.coordinatorWatchQueue} answers behind`));
    } catch (error) {
      this.#end(MeridianError.from(error));
    }
  }

  #askForProgress(stream: WatchStream, endpoint: Endpoint): void {
    const { clock } = this.#options;
    this.#cancelAsking = clock.after(LIMITS.etcdWatchProgressMs, () => {
      const silentMs = clock.monotonicMs() - this.#heardMs;
      if (silentMs >= LIMITS.etcdWatchSilenceMs) {
        this.#fail(endpoint, failureOf(endpoint.address, { code: 0, details: `its watch was silent for ${silentMs} ms` }));
        return;
      }
      stream.write({ progress_request: {} });
      this.#askForProgress(stream, endpoint);
    });
  }

  #fail(endpoint: Endpoint, error: MeridianError): void {
    if (this.#state !== "open") return;
    this.#end(error);
    this.#options.caller.learn(endpoint, error);
  }

  #end(error: MeridianError | undefined): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#queue.close(error);
    this.#cancelAsking();
    for (const release of this.#releases) release();
  }
}

function suspected(endpoint: Endpoint): MeridianError {
  return new MeridianError("UNAVAILABLE", `etcd at ${endpoint.address} left a call without an answer, so its watches are left`);
}

function truncated(message: string): MeridianError {
  return new MeridianError("TRUNCATED", message, { advice: "List the keys again and watch from the list's revision + 1." });
}
