import { VirtualClock } from "../../sim/clock.ts";
import { MemoryNetwork } from "../../sim/network.ts";
import { SeededRandom } from "../../sim/random.ts";
import { MemoryLogStore } from "../../src/adapters/memory/log-store.ts";
import { Followers } from "../../src/feed/followers.ts";
import { PeerService } from "../../src/gen/meridian/v1/peer_pb.ts";
import { MeridianError } from "../../src/kernel/errors.ts";
import type { Watermark } from "../../src/log/batch.ts";
import type { Fate, FeedListener, LeaderDescription, Leadership, SubmitRun } from "../../src/routing/leaders.ts";
import { createPeerService } from "../../src/routing/peer-service.ts";
import { Peers } from "../../src/routing/peers.ts";
import { Router } from "../../src/routing/router.ts";
import { FakeLeaders } from "./fake-leaders.ts";
import { MemoryTelemetry } from "./telemetry.ts";

/** A node's own leaders: it leads what it was told to lead, and gives hints for the rest. */
export class OwnLeaders extends FakeLeaders implements Leadership {
  readonly #node: string;
  /** Of conversations that are led elsewhere: the hint, or "" for none. */
  readonly elsewhere = new Map<string, string>();
  readonly moves: string[] = [];
  readonly known: (Watermark | undefined)[] = [];
  asked = 0;

  constructor(node: string) {
    super(new MemoryLogStore());
    this.#node = node;
  }

  override async submit(run: SubmitRun): Promise<readonly Fate[]> {
    this.#look(run.conversation);
    return super.submit(run);
  }

  override async attach(conversation: string, listener: FeedListener, known?: Watermark) {
    this.#look(conversation);
    this.known.push(known);
    return super.attach(conversation, listener);
  }

  async describe(conversation: string): Promise<LeaderDescription> {
    this.#look(conversation);
    return { node: this.#node, home: "eu", epoch: 7n, head: this.head(conversation) };
  }

  async move(conversation: string, region: string): Promise<bigint> {
    this.#look(conversation);
    this.moves.push(`${conversation} to ${region}`);
    return 8n;
  }

  #look(conversation: string): void {
    this.asked += 1;
    const hint = this.elsewhere.get(conversation);
    if (hint === undefined) return;
    throw new MeridianError("NOT_LEADER", `${conversation} is not led by ${this.#node}`, {
      details: hint === "" ? { home: "eu" } : { home: "eu", leader: hint },
    });
  }
}

export class MeshNode {
  readonly place: string;
  readonly address: string;
  readonly leaders: OwnLeaders;
  readonly telemetry = new MemoryTelemetry();
  readonly peers: Peers;
  readonly router: Router;
  readonly followers: Followers;
  /** Where this node believes each conversation to be led; "" for nobody. */
  readonly view = new Map<string, string>();
  #server: { close(): void } | undefined;

  constructor(mesh: Mesh, place: string, seed: number) {
    const { clock } = mesh;
    this.place = place;
    this.address = `${place}:7411`;
    this.leaders = new OwnLeaders(place);
    const random = new SeededRandom(seed);
    const shared = { clock, random, telemetry: this.telemetry };
    this.peers = new Peers({
      ...shared,
      self: { node: place, address: this.address },
      nodes: () => mesh.live(),
      watchNodes: (changed) => mesh.watch(changed),
      local: this.leaders,
      network: mesh.network.from(place),
    });
    this.router = new Router({
      address: this.address,
      local: this.leaders,
      peers: this.peers,
      locate: (conversation) => {
        const leader = this.view.get(conversation) ?? this.address;
        return leader === "" ? { home: "eu" } : { home: "eu", leader };
      },
      telemetry: this.telemetry,
    });
    this.followers = new Followers({ ...shared, leaders: this.router });
    this.serve(mesh);
    this.peers.start();
  }

  serve(mesh: Mesh): void {
    const { peers, leaders } = this;
    const handlers = createPeerService({ peers, local: leaders, clock: mesh.clock });
    this.#server = mesh.network.serve(this.address, [{ service: PeerService, handlers }]);
  }

  /** As when its process ends. */
  kill(): void {
    this.#server?.close();
  }

  /** Whether feeds can be had from the node at the address, and sends given to it. */
  reaches(address: string): boolean {
    return this.peers.links().some((link) => link.address === address && link.feeds && link.sends);
  }
}

/** Nodes on virtual time that know of each other, with leaders that the test moves. */
export class Mesh {
  readonly clock = new VirtualClock();
  readonly network: MemoryNetwork;
  readonly nodes: MeshNode[] = [];
  readonly #absent = new Set<string>();
  readonly #watchers = new Set<() => void>();

  constructor(options: { readonly latencyMs?: number } = {}) {
    const { clock } = this;
    this.network = new MemoryNetwork({ clock, latencyMs: () => options.latencyMs ?? 20, telemetry: new MemoryTelemetry() });
  }

  live(): readonly { readonly address: string }[] {
    return this.nodes.filter(({ address }) => !this.#absent.has(address));
  }

  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** The node's key is gone from the coordinator, or there again. */
  setLive(node: MeshNode, live: boolean): void {
    if (live) this.#absent.delete(node.address);
    else this.#absent.add(node.address);
    for (const changed of this.#watchers) changed();
  }

  /** Nodes with all links between them. */
  async linked(...places: readonly string[]): Promise<MeshNode[]> {
    const nodes = places.map((place) => {
      const node = new MeshNode(this, place, this.nodes.length + 1);
      this.nodes.push(node);
      return node;
    });
    for (const changed of this.#watchers) changed();
    await this.clock.advance(1_000);
    for (const a of this.nodes) {
      for (const b of this.nodes) {
        if (a !== b && !a.reaches(b.address)) throw new Error(`${a.place} has no link with ${b.place}`);
      }
    }
    return nodes;
  }
}
