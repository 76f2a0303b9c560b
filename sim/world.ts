import { MemoryCoordinator } from "../src/adapters/memory/coordinator.ts";
import { MemoryLogStore } from "../src/adapters/memory/log-store.ts";
import { Client, type ClientOptions } from "../src/client/client.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import { MeridianNode } from "../src/node/node.ts";
import type { Coordinator } from "../src/ports/coordinator.ts";
import type { LogStore } from "../src/ports/log-store.ts";
import type { Telemetry } from "../src/ports/telemetry.ts";
import { VirtualClock } from "./clock.ts";
import { MemoryNetwork } from "./network.ts";
import { SeededRandom } from "./random.ts";

export interface WorldOptions {
  readonly seed?: number;
  readonly regions?: readonly string[];
  readonly telemetry: Telemetry;
  /** What nodes write to; default: one store in memory that they share. */
  readonly store?: LogStore;
  /** One way between two places, nodes by their names; default: 0. */
  readonly latencyMs?: (from: string, to: string) => number;
}

/** A node that runs in the world; `stop` hands everything back. */
export interface RunningNode {
  readonly node: MeridianNode;
  readonly address: string;
  stop(): Promise<void>;
}

/** Nodes and clients as they run in production, on virtual time, over a network, a store and a coordinator in memory. */
export class World {
  readonly clock = new VirtualClock();
  readonly coordinator: MemoryCoordinator;
  readonly store: LogStore;
  readonly network: MemoryNetwork;
  /** Those that were started, the first one first. */
  readonly nodes: MeridianNode[] = [];
  readonly #options: WorldOptions;
  #seed: number;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#seed = options.seed ?? 1;
    this.coordinator = new MemoryCoordinator({ clock: this.clock });
    this.store = options.store ?? new MemoryLogStore();
    const { telemetry, latencyMs = () => 0 } = options;
    this.network = new MemoryNetwork({ clock: this.clock, telemetry, latencyMs });
  }

  /** Starts a node that serves at `<name>:1` and resolves once it is ready. */
  async start(name: string, region = "local", coordinator: Coordinator = this.coordinator): Promise<RunningNode> {
    const address = `${name}:1`;
    const node = new MeridianNode({
      node: name,
      region,
      regions: this.#options.regions ?? ["local"],
      address,
      version: "0.0.0",
      bodyBytesMax: LIMITS.bodyBytes,
      lease: {
        ttlMs: LIMITS.embeddedLeaseTtlMs,
        renewMs: LIMITS.embeddedLeaseRenewMs,
        marginMs: LIMITS.embeddedLeaseMarginMs,
      },
      coordinator,
      store: this.store,
      network: this.network.from(name),
      clock: this.clock,
      random: new SeededRandom(this.#seed++),
      telemetry: this.#options.telemetry,
      counters: () => new Map(),
    });
    this.nodes.push(node);
    const server = this.network.serve(address, [...node.services.clients, ...node.services.peers]);
    await this.clock.until(node.start());
    return {
      node,
      address,
      stop: async () => {
        await this.clock.until(node.stop());
        server.close();
      },
    };
  }

  client(place: string, options: ClientOptions): Client {
    const unheard = () => {};
    const random = new SeededRandom(this.#seed++);
    return new Client({ network: this.network.from(place), clock: this.clock, random, unheard }, options);
  }
}
