import type { MeridianNode } from "../node/node.ts";
import type { Clock } from "../ports/clock.ts";
import type { ServiceRegistration } from "../ports/network.ts";

/** How long calls that are under way may take to end when the node stops. */
const GRACE_MS = 2_000;

const HEALTH_MS = 1_000;

/** A server that listens. */
export interface RunningServer {
  readonly address: string;
  setServing(serving: boolean): void;
  close(options: { readonly graceMs: number }): Promise<void>;
}

export interface ServedNodeOptions {
  readonly node: MeridianNode;
  readonly clock: Clock;
  /** Where the node listens, `host:port`; port 0 takes any free one. */
  readonly addresses: Readonly<Record<"clients" | "peers" | "admin", string>>;
  /** What operators can call beside the node's own service. */
  readonly operators?: readonly ServiceRegistration[];
  readonly listen: (address: string, services: readonly ServiceRegistration[]) => Promise<RunningServer>;
}

/** A node together with the servers by which it is reached. */
export class ServedNode {
  readonly node: MeridianNode;
  readonly clients: string;
  readonly peers: string;
  readonly admin: string;
  readonly #clock: Clock;
  readonly #servers: readonly RunningServer[];
  #cancelHealth: () => void = () => {};

  private constructor({ node, clock }: ServedNodeOptions, servers: readonly [RunningServer, RunningServer, RunningServer]) {
    this.node = node;
    this.#clock = clock;
    this.#servers = servers;
    [this.clients, this.peers, this.admin] = [servers[0].address, servers[1].address, servers[2].address];
    this.#tellHealth();
  }

  /** Resolves once the node serves. Throws UNAVAILABLE, with everything handed back, when it cannot or an address is taken. */
  static async start(options: ServedNodeOptions): Promise<ServedNode> {
    const { node, addresses, listen, operators = [] } = options;
    const servers: RunningServer[] = [];
    const add = async (address: string, services: readonly ServiceRegistration[]) => {
      const server = await listen(address, services);
      servers.push(server);
      return server;
    };
    try {
      // A node that listened before it leads would refuse what it is sent in its first moments.
      await node.start();
      const clients = await add(addresses.clients, node.services.clients);
      const peers = await add(addresses.peers, node.services.peers);
      const admin = await add(addresses.admin, [...node.services.operators, ...operators]);
      return new ServedNode(options, [clients, peers, admin]);
    } catch (error) {
      await node.stop();
      await closeAll(servers);
      throw error;
    }
  }

  /** Hands everything back, then ends. What is acknowledged is on the disk anyway. */
  async stop(): Promise<void> {
    this.#cancelHealth();
    await this.node.stop();
    await closeAll(this.#servers);
  }

  /** Tells health checks, every second, whether the node serves now: it has a lease and a worker number. */
  #tellHealth(): void {
    const serving = this.node.reasons().length === 0;
    for (const server of this.#servers) server.setServing(serving);
    this.#cancelHealth = this.#clock.after(HEALTH_MS, () => this.#tellHealth());
  }
}

function closeAll(servers: readonly RunningServer[]): Promise<unknown> {
  return Promise.all(servers.map((server) => server.close({ graceMs: GRACE_MS })));
}
