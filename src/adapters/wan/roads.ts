/**
 * The sockets of an emulated wide area: how clients and nodes in each region reach the nodes of all regions.
 *
 * Every road is a proxy of its own, as long as the distance, in front of one server. So unmodified clients and nodes, with
 * real gRPC, meet real delays, and a fault resets real sockets. A region's own clients go through a proxy too, one without
 * length: else the loss of the region could not reset their connections.
 *
 * A lost region is lost with everything that is in it, but the people there are not: their roads to other regions stay open,
 * as theirs do whose provider finds another way. Its node has no such luck.
 *
 * A node in region R is known to the others as `R:port`; only a road knows the real address.
 */
import { MeridianError } from "../../kernel/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Channel, Network } from "../../ports/network.ts";
import { DelayProxy } from "./delay-proxy.ts";
import type { Links } from "./links.ts";

/** Where the servers of a region's node listen. */
export interface Servers {
  readonly clients: string;
  readonly peers: string;
}

export interface RoadsOptions {
  readonly links: Links;
  readonly clock: Clock;
  /** Of each region the `host:port` at which its own clients reach its node. */
  readonly doors: ReadonlyMap<string, string>;
  /** What is told of a way's length. */
  readonly rttMs: (from: string, to: string) => number;
}

interface Road {
  readonly kind: keyof Servers;
  readonly from: string;
  readonly to: string;
  readonly proxy: DelayProxy;
}

/** A client's way to a node. */
export interface ClientRoute {
  readonly region: string;
  readonly address: string;
  readonly rttMs: number;
}

export class Roads {
  readonly #links: Links;
  readonly #rttMs: RoadsOptions["rttMs"];
  readonly #roads: Road[] = [];
  readonly #servers = new Map<string, Servers>();
  #unsubscribe: () => void = () => {};

  private constructor({ links, rttMs }: RoadsOptions) {
    this.#links = links;
    this.#rttMs = rttMs;
  }

  /** Takes all addresses. Throws UNAVAILABLE, with everything closed again, when one cannot be had. */
  static async open(options: RoadsOptions): Promise<Roads> {
    const { links, clock, doors } = options;
    const roads = new Roads(options);
    const build = async (kind: keyof Servers, from: string, to: string, listen: string) => {
      const target = () => roads.#servers.get(to)?.[kind];
      const proxy = await DelayProxy.listen({ clock, listen, target, oneWayMs: links.oneWayMs(from, to) });
      roads.#roads.push({ kind, from, to, proxy });
    };
    try {
      for (const [region, door] of doors) await build("clients", region, region, door);
      for (const from of links.regions) {
        for (const to of links.regions.filter((region) => region !== from)) {
          await build("clients", from, to, ANY);
          await build("peers", from, to, ANY);
        }
      }
    } catch (error) {
      await roads.close();
      throw error;
    }
    roads.#unsubscribe = links.onChange(() => roads.#follow());
    return roads;
  }

  /** The region's node listens there from now on. */
  lead(region: string, servers: Servers): void {
    this.#servers.set(region, servers);
  }

  /** How clients in this region reach the nodes, the nearest one first. */
  routes(from: string): readonly ClientRoute[] {
    return this.#roads
      .filter((road) => road.kind === "clients" && road.from === from)
      .map(({ to, proxy }) => ({ region: to, address: proxy.address, rttMs: this.#rttMs(from, to) }))
      .sort((a, b) => a.rttMs - b.rttMs);
  }

  /** How a node in this region reaches the others by the addresses that they are known by. */
  network(from: string, network: Network): Network {
    return { channel: (address): Channel => network.channel(this.#peerRoad(from, address)) };
  }

  close(): Promise<unknown> {
    this.#unsubscribe();
    return Promise.all(this.#roads.map(({ proxy }) => proxy.close()));
  }

  #peerRoad(from: string, address: string): string {
    const to = address.slice(0, address.lastIndexOf(":"));
    const road = this.#roads.find((one) => one.kind === "peers" && one.from === from && one.to === to);
    if (road !== undefined) return road.proxy.address;
    throw new MeridianError("INTERNAL", `there is no road from ${from} to ${JSON.stringify(address)}`);
  }

  #follow(): void {
    for (const road of this.#roads) {
      if (this.#isOpen(road)) road.proxy.restore();
      else road.proxy.cut();
    }
  }

  #isOpen({ kind, from, to }: Road): boolean {
    if (kind === "peers") return this.#links.open(from, to);
    const { lost, partitioned } = this.#links.faults;
    return !lost.includes(to) && !partitioned.some((pair) => from !== to && pair.includes(from) && pair.includes(to));
  }
}

const ANY = "127.0.0.1:0";
