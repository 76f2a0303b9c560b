import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LinkHello, LinkRequest, LinkResponseSchema } from "../gen/meridian/v1/peer_pb.ts";
import { Background } from "../kernel/background.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Duplex } from "../ports/network.ts";
import { HandlerLink } from "./handler-link.ts";
import type { Leadership } from "./leaders.ts";
import { Peer, type PeerOptions } from "./peer.ts";

export interface PeersOptions extends Omit<PeerOptions, "address"> {
  /** The live nodes, perhaps with this one. */
  readonly nodes: () => readonly { readonly address: string }[];
  /** Calls `changed` when `nodes()` may have changed; the answer ends that. */
  readonly watchNodes: (changed: () => void) => () => void;
}

/** How another node is reached. */
export interface LinkState {
  readonly address: string;
  /** Whether feeds can be had from it. */
  readonly feeds: boolean;
  /** Whether sends can be given to it. */
  readonly sends: boolean;
}

/** The mesh: this node keeps a link open to every other live node, and each of them keeps one open to this node. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #background: Background;
  readonly #peers = new Map<string, Peer>();
  /** Those that this node opens links to. */
  readonly #kept = new Set<Peer>();
  #unwatch = () => {};
  #stopped = false;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#background = new Background((what, error) => {
      options.telemetry.log("error", "link.failed", { what, error: error.message, stack: error.stack });
    });
  }

  start(): void {
    this.#unwatch = this.#options.watchNodes(() => this.#look());
    this.#look();
  }

  /** Lets this node's leaders answer what was forwarded to them, for a second at most; then breaks all links. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unwatch();
    for (const peer of this.#peers.values()) peer.finish();
    const said = new AbortController();
    const ended = this.#background.stop().then(() => said.abort());
    await sleep(this.#options.clock, LIMITS.linkGoodbyeMs, said.signal);
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
    await ended;
  }

  /** The leaders at another node's address; undefined if no such node is known. */
  at(address: string): Leadership | undefined {
    return this.#peers.get(address);
  }

  links(): readonly LinkState[] {
    return [...this.#peers.values()].map((peer) => ({ address: peer.address, ...peer.reach }));
  }

  /** Serves a link that another node has opened, to its end. */
  async accept(stream: Duplex<MessageInitShape<typeof LinkResponseSchema>, LinkRequest>): Promise<void> {
    const { self, local, clock, telemetry } = this.#options;
    let peer: Peer | undefined;
    const onHello = (hello: LinkHello) => {
      peer = this.#welcome(hello);
      peer.opened(link);
    };
    const link = new HandlerLink({ stream, node: self.node, local, clock, telemetry, onHello });
    await link.run().finally(() => {
      peer?.ended(link);
      if (peer !== undefined) this.#maybeForget(peer);
    });
  }

  #welcome({ node, address }: LinkHello): Peer {
    if (this.#stopped) throw new MeridianError("UNAVAILABLE", "this node is stopping", { retry: "elsewhere" });
    if (address === this.#options.self.address) {
      throw new MeridianError("INVALID_ARGUMENT", `node ${node} says that it has this node's own address ${address}`, {
        advice: "Give each node a peer address of its own.",
      });
    }
    return this.#peer(address);
  }

  #peer(address: string): Peer {
    const peer = this.#peers.get(address) ?? new Peer({ ...this.#options, address });
    this.#peers.set(address, peer);
    return peer;
  }

  #look(): void {
    if (this.#stopped) return;
    for (const { address } of this.#options.nodes()) {
      if (address === this.#options.self.address) continue;
      const peer = this.#peer(address);
      if (this.#kept.has(peer)) continue;
      this.#kept.add(peer);
      this.#background.run(`keeping a link to ${address}`, (signal) => this.#keep(peer, signal));
    }
  }

  async #keep(peer: Peer, signal: AbortSignal): Promise<void> {
    await peer.keepLinked(signal, () => this.#isLive(peer.address));
    this.#kept.delete(peer);
    this.#maybeForget(peer);
    // It may have come back in this very moment.
    this.#look();
  }

  #isLive(address: string): boolean {
    return this.#options.nodes().some((node) => node.address === address);
  }

  #maybeForget(peer: Peer): void {
    if (this.#stopped || this.#kept.has(peer) || peer.reach.sends || this.#peers.get(peer.address) !== peer) return;
    this.#peers.delete(peer.address);
    peer.close();
  }
}
