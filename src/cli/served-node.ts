import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { MeridianNode } from "../node/node.ts";
import type { Clock } from "../ports/clock.ts";
import type { ServiceRegistration } from "../ports/network.ts";
import type { Telemetry } from "../ports/telemetry.ts";

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
  readonly telemetry: Telemetry;
  /** Where the node listens, `host:port`; port 0 takes any free one. */
  readonly addresses: Readonly<Record<"clients" | "peers" | "admin", string>>;
  /** What operators can call beside the node's own service. */
  readonly operators?: readonly ServiceRegistration[];
  readonly listen: (address: string, services: readonly ServiceRegistration[]) => Promise<RunningServer>;
  /** Opens the address for health checks by HTTP, if there is one; `reasons` say why the node must be given no work now. */
  readonly listenHealth?: ((reasons: () => readonly string[]) => Promise<HealthListener>) | undefined;
}

/** A server for health checks by HTTP. */
export interface HealthListener {
  readonly address: string;
  close(): Promise<void>;
}

/** A node together with the servers by which it is reached. */
export class ServedNode {
  readonly node: MeridianNode;
  readonly clients: string;
  readonly peers: string;
  readonly admin: string;
  /** Where health checks reach it by HTTP, if they do. */
  readonly health: string | undefined;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #servers: readonly RunningServer[];
  readonly #healthListener: HealthListener | undefined;
  #cancelHealth: () => void = () => {};

  private constructor(
    { node, clock, telemetry }: ServedNodeOptions,
    servers: Readonly<Record<"clients" | "peers" | "admin", RunningServer>>,
    healthListener: HealthListener | undefined,
  ) {
    this.node = node;
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#servers = Object.values(servers);
    this.#healthListener = healthListener;
    this.health = healthListener?.address;
    this.clients = servers.clients.address;
    this.peers = servers.peers.address;
    this.admin = servers.admin.address;
    this.#tellHealth();
  }

  /** Resolves once the node serves. Throws UNAVAILABLE, with everything handed back, when it cannot or an address is taken. */
  static async start(options: ServedNodeOptions): Promise<ServedNode> {
    const { node, addresses, listen, listenHealth, operators = [] } = options;
    const servers: RunningServer[] = [];
    const add = async (address: string, services: readonly ServiceRegistration[]) => {
      const server = await listen(address, services);
      servers.push(server);
      return server;
    };
    let isUp = false;
    const reasons = () => (isUp || node.reasons().length > 0 ? node.reasons() : ["the node is starting"]);
    // Joining a cluster may take as long as its former lease: whoever asks meanwhile shall not take the process for dead.
    const healthListener = await listenHealth?.(reasons);
    try {
      // Other nodes hand it shards as soon as they hear of it, and go on sending to these conversations.
      const peers = await add(addresses.peers, node.services.peers);
      await node.start();
      // If clients came before it leads, it would refuse what they send in its first moments.
      const clients = await add(addresses.clients, node.services.clients);
      const admin = await add(addresses.admin, [...node.services.operators, ...operators]);
      isUp = true;
      return new ServedNode(options, { clients, peers, admin }, healthListener);
    } catch (error) {
      await node.stop();
      await closeAll(servers);
      await healthListener?.close();
      throw error;
    }
  }

  /**
   * Is not serving any more for those who ask, hands everything over, sends the clients elsewhere, and ends. What is
   * acknowledged is on the disk anyway, so it also ends when a hand-over does not.
   */
  async stop(): Promise<void> {
    this.#cancelHealth();
    for (const server of this.#servers) server.setServing(false);
    await withDeadline(this.#clock, LIMITS.stopMs, "handing everything over", this.node.stop()).catch((thrown: unknown) => {
      this.#telemetry.log("warn", "node.not-handed-over", { error: MeridianError.from(thrown).message });
    });
    await closeAll(this.#servers);
    await this.#healthListener?.close();
  }

  /** Tells health checks, every second, whether the node serves now. */
  #tellHealth(): void {
    const serving = this.node.reasons().length === 0;
    for (const server of this.#servers) server.setServing(serving);
    this.#cancelHealth = this.#clock.after(HEALTH_MS, () => this.#tellHealth());
  }
}

function closeAll(servers: readonly RunningServer[]): Promise<unknown> {
  return Promise.all(servers.map((server) => server.close({ graceMs: GRACE_MS })));
}
