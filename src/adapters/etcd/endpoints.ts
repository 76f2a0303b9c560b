/**
 * Which member the next call goes to: the first in the configured order that is connected and not suspected.
 *
 * The choice is made before a call is sent, never after: a write that was sent may have been applied, whatever the error
 * says, so it cannot be tried elsewhere. What makes fail-over quick is therefore memory. A member that left one call
 * without an answer (paused, cut off, without a leader) is suspected, its watches are ended so that they begin again
 * elsewhere, and calls pass it by until a probe was answered. So a dead member costs one call its deadline, not each.
 */
import type { ChannelCredentials } from "@grpc/grpc-js";
import { Background } from "../../kernel/background.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sleep } from "../../kernel/timing.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { Endpoint } from "./endpoint.ts";

export interface EndpointsOptions {
  /** `host:port` of each member, the nearest first. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Whether the member takes part in its cluster: it answers a linearizable read. */
  readonly probe: (endpoint: Endpoint) => Promise<boolean>;
}

export class Endpoints {
  readonly #options: EndpointsOptions;
  readonly #all: readonly Endpoint[];
  /** The suspected ones, in the order in which they last failed. */
  readonly #suspected = new Set<Endpoint>();
  readonly #probed = new Set<Endpoint>();
  readonly #watches = new Map<Endpoint, Set<() => void>>();
  readonly #background: Background;

  constructor(options: EndpointsOptions) {
    this.#options = options;
    this.#all = options.addresses.map((address) => new Endpoint(address, options.credentials));
    this.#background = new Background((what, { code, message }) => {
      options.telemetry.log("error", "etcd.failed", { what, code, message });
    });
    for (const endpoint of this.#all) {
      this.#background.run("watching a connection to etcd", (signal) => this.#tellEnds(endpoint, signal));
    }
  }

  get connected(): readonly Endpoint[] {
    return this.#all.filter((endpoint) => endpoint.isConnected);
  }

  /** Throws UNAVAILABLE when none is connected within `withinMs`: then nothing was sent. */
  async pick(withinMs: number): Promise<Endpoint> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + withinMs;
    for (;;) {
      if (this.#background.signal.aborted) throw new MeridianError("UNAVAILABLE", "the coordinator is closed");
      const { connected } = this;
      const best = connected.find((endpoint) => !this.#suspected.has(endpoint)) ?? this.#leastSuspected(connected);
      if (best !== undefined) return best;
      const leftMs = endMs - clock.monotonicMs();
      if (leftMs <= 0) throw this.#noneConnected(withinMs);
      await Promise.race(this.#all.map((endpoint) => endpoint.changed(leftMs)));
    }
  }

  /** It left a call without an answer. */
  suspect(endpoint: Endpoint, why: string): void {
    if (this.#background.signal.aborted) return;
    const isNew = !this.#suspected.delete(endpoint);
    this.#suspected.add(endpoint);
    if (isNew) {
      this.#options.telemetry.count("etcd.suspected");
      this.#options.telemetry.log("warn", "etcd.suspected", { address: endpoint.address, why });
      for (const end of this.#watches.get(endpoint) ?? []) end();
    }
    if (this.#probed.has(endpoint)) return;
    this.#probed.add(endpoint);
    this.#background.run("probing a member of etcd", (signal) => this.#probeUntilWell(endpoint, signal));
  }

  /** Calls `end` once the endpoint is suspected, unless the answer is called before. */
  onSuspected(endpoint: Endpoint, end: () => void): () => void {
    const watches = this.#watches.get(endpoint) ?? new Set();
    this.#watches.set(endpoint, watches.add(end));
    return () => watches.delete(end);
  }

  async close(): Promise<void> {
    const stopped = this.#background.stop();
    for (const watches of this.#watches.values()) for (const end of watches) end();
    for (const endpoint of this.#all) endpoint.close();
    await stopped;
  }

  /** A member can go without being missed by a call: the next one is sent elsewhere. */
  async #tellEnds(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    const { telemetry } = this.#options;
    for (let wasConnected = false; !signal.aborted; wasConnected = endpoint.isConnected) {
      await endpoint.changed(LIMITS.etcdPingMs);
      if (signal.aborted || !wasConnected || endpoint.isConnected) continue;
      telemetry.count("etcd.disconnected");
      telemetry.log("warn", "etcd.disconnected", { address: endpoint.address });
    }
  }

  async #probeUntilWell(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#options.clock, LIMITS.etcdProbeMs, signal);
      if (endpoint.isConnected && (await this.#options.probe(endpoint))) break;
    }
    this.#probed.delete(endpoint);
    this.#suspected.delete(endpoint);
    if (!signal.aborted) this.#options.telemetry.log("info", "etcd.well-again", { address: endpoint.address });
  }

  #leastSuspected(connected: readonly Endpoint[]): Endpoint | undefined {
    return [...this.#suspected].find((endpoint) => connected.includes(endpoint));
  }

  #noneConnected(withinMs: number): MeridianError {
    const addresses = this.#options.addresses.join(", ");
    return new MeridianError("UNAVAILABLE", `no connection to etcd at ${addresses} within ${withinMs} ms`, {
      advice: "Check that etcd runs, that the addresses are those of its clients' port, and that both ends use TLS or neither.",
    });
  }
}
