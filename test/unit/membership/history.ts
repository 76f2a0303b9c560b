import { SeededRandom } from "../../../sim/random.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import type { Tenure } from "../../../src/membership/tenure.ts";
import type { Txn, TxnAnswer } from "../../../src/ports/coordinator.ts";
import { Cluster, LEASE, type TestNode } from "./cluster.ts";

/** Just under the margin in one TTL, which is what a node's clock may lose. */
const SLOWEST = 1 - LEASE.leaseMarginMs / LEASE.leaseTtlMs + 0.004;

interface Held {
  readonly node: TestNode;
  readonly tenure: Tenure;
}

/** What happened in one history, to see that it tried something. */
export interface Tally {
  readonly tenures: number;
  readonly moves: number;
  readonly renewals: number;
  readonly takeovers: number;
}

/**
 * One random history: three nodes in two regions open, renew, move and let go three conversations, while transactions are
 * lost and land late, nodes are cut off, suspended and restarted, clocks are slow, and the coordinator's leader changes,
 * its predecessor going on to answer keep-alives. Throws at the first breach:
 *
 * - two tenures of one conversation look true;
 * - a tenure looks true under a lower epoch than one that did before;
 * - a (conversation, epoch) is given out under two claims, or again after a new epoch was asked for.
 */
export class History {
  readonly #random: SeededRandom;
  readonly #cluster: Cluster;
  readonly #talks: readonly string[];
  readonly #nodes: TestNode[] = [];
  /** Leaders are mostly left alone, so that they last until something befalls their node. */
  readonly #calm: boolean;
  readonly #dead: TestNode[] = [];
  readonly #held: Held[] = [];
  readonly #highest = new Map<string, bigint>();
  readonly #given = new Map<string, string>();
  readonly #ended = new Set<string>();
  readonly #work = new Set<Promise<void>>();
  #breach: Error | undefined;
  #term = 1;
  readonly #tally = { tenures: 0, moves: 0, renewals: 0, takeovers: 0 };
  #lastLed = new Map<string, TestNode>();

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.#calm = this.#chance(1, 2);
    this.#cluster = new Cluster({ regions: ["eu", "us"], shards: 2, seed });
    this.#talks = [0, 1, 0].map((shard, i) => this.#cluster.conversation(i === 2 ? "us" : "eu", shard, `talk${i}`));
  }

  async run(steps: number): Promise<Tally> {
    const { clock } = this.#cluster;
    for (const [region, name] of [
      ["eu", "a"],
      ["eu", "b"],
      ["us", "c"],
    ] as const)
      this.#nodes.push(this.#join(region, name));
    for (let step = 0; step < steps; step += 1) {
      if (this.#chance(1, 3)) this.#act();
      if (this.#chance(1, 40)) this.#disturb();
      await clock.advance(1 + this.#random.below(24));
      this.#check();
    }
    await this.#settle();
    return this.#tally;
  }

  #join(region: string, name: string): TestNode {
    const slow = this.#chance(1, 2);
    const rate = () => (slow ? SLOWEST : SLOWEST + this.#random.below(300) / 1_000);
    const node = this.#cluster.node(region, name, { monotonic: rate(), wall: rate() });
    node.doctor.answered = (answer) => this.#inTerm(answer);
    node.doctor.renewed = (answer) => ({ ...answer, header: { ...answer.header, term: this.#term } });
    node.drain = async () => {
      await new Promise<void>((resolve) => node.clock.after(this.#random.below(300), resolve));
      return this.#chance(1, 5) ? "failed" : "drained";
    };
    this.#go(node.membership.start());
    return node;
  }

  #inTerm(answer: TxnAnswer): TxnAnswer {
    return "header" in answer ? { ...answer, header: { ...answer.header, term: this.#term } } : answer;
  }

  /** What sequencers do. */
  #act(): void {
    const node = this.#pick(this.#nodes);
    const talk = this.#pick(this.#talks);
    const held = this.#held.length === 0 ? undefined : this.#pick(this.#held);
    const kind = this.#random.below(10);
    if (kind < 5 || held === undefined) return this.#go(node.membership.tenure(talk).then((tenure) => this.#give(node, tenure)));
    if (this.#calm && this.#chance(14, 15)) return;
    const { tenure } = held;
    if (kind === 5) return this.#drop(held);
    if (kind === 6) return this.#go(this.#renew(held));
    if (kind === 7) return this.#go(tenure.confirm(tenure.epoch));
    this.#go(this.#move(held));
  }

  async #renew(held: Held): Promise<void> {
    if (!this.#held.includes(held)) return;
    this.#ended.add(`${held.tenure.conversation} ${held.tenure.epoch}`);
    const renewed = await held.tenure.renew();
    this.#tally.renewals += renewed === undefined ? 0 : 1;
    if (renewed !== undefined) this.#give(held.node, renewed);
  }

  async #move(held: Held): Promise<void> {
    const there = held.tenure.claim.region === "eu" ? "us" : "eu";
    const moved = await held.tenure.move(there, { nothingInFlight: this.#chance(1, 2) });
    if (moved.kind === "moved") this.#tally.moves += 1;
    if (moved.kind === "doubt" && this.#chance(1, 2)) await this.#renew(held);
    else if (moved.kind !== "resume") this.#drop(held);
  }

  #drop(held: Held): void {
    held.tenure.release();
    this.#held.splice(this.#held.indexOf(held), 1);
  }

  #give(node: TestNode, tenure: Tenure): void {
    const { conversation, epoch, claim } = tenure;
    const name = `${conversation} ${epoch}`;
    const under = `${node.address} ${claim.key}@${claim.modRevision}`;
    const before = this.#given.get(name);
    if (before !== undefined && before !== under) this.#fail(`epoch ${epoch} of ${conversation} under ${before} and ${under}`);
    if (this.#ended.has(name)) this.#fail(`epoch ${epoch} of ${conversation} again after it was to be renewed`);
    this.#given.set(name, under);
    // It took the seat of the former one.
    for (const held of this.#held.filter((one) => one.node === node && one.tenure.conversation === conversation))
      this.#drop(held);
    this.#held.push({ node, tenure });
    this.#tally.tenures += 1;
    if (this.#lastLed.get(conversation) !== node) this.#tally.takeovers += 1;
    this.#lastLed.set(conversation, node);
    this.#check();
  }

  /** What befalls nodes and the coordinator. */
  #disturb(): void {
    const node = this.#pick(this.#nodes);
    const ms = this.#random.below(this.#chance(1, 3) ? 6_000 : 1_500);
    const later = (undo: () => void) => {
      this.#cluster.clock.after(ms, () => {
        if (!this.#dead.includes(node)) undo();
      });
    };
    switch (this.#random.below(8)) {
      case 0:
        node.way.cut();
        return later(() => node.way.heal());
      case 1:
        node.clock.suspend();
        node.way.cut();
        return later(() => {
          node.clock.resume();
          node.way.heal();
        });
      case 2:
        node.way.renewals(this.#chance(1, 2) ? "lost" : "unanswered");
        return later(() => node.way.renewals("pass"));
      case 3:
        node.way.delay({ requestMs: this.#random.below(300), answerMs: this.#random.below(300) });
        return later(() => node.way.delay({}));
      case 4:
        return this.#elect(node);
      case 5:
        return this.#restart(node);
      default:
        return this.#loseSome(node);
    }
  }

  #loseSome(node: TestNode): void {
    for (let i = this.#random.below(4); i >= 0; i -= 1) {
      const applyAfterMs = this.#random.below(this.#chance(1, 2) ? 400 : 6_000);
      const fate = this.#chance(1, 4) ? ({ never: true } as const) : { applyAfterMs };
      node.way.loseNext(fate, { when: isWrite, answerAfterMs: this.#random.below(200) });
    }
  }

  /** A new leader of the coordinator; the node still hears the deposed one for a while, whose keep-alives are worth nothing. */
  #elect(node: TestNode): void {
    const term = this.#term;
    this.#term += 1;
    node.doctor.renewedInstead = (lease) => {
      return { header: { cluster: "memory", term, revision: 1 }, lease, ttlMs: LEASE.leaseTtlMs };
    };
    this.#cluster.clock.after(this.#random.below(5_000), () => {
      node.doctor.renewedInstead = () => undefined;
    });
  }

  /** The process dies: what it sent may still land, nothing reaches it any more. Another takes its name. */
  #restart(node: TestNode): void {
    node.way.cut();
    node.clock.suspend();
    for (const held of this.#held.filter((one) => one.node === node)) this.#held.splice(this.#held.indexOf(held), 1);
    this.#dead.push(node);
    const [name = "", region = ""] = node.address.replace(/:.*/, "").split(".");
    this.#nodes[this.#nodes.indexOf(node)] = this.#join(region, name);
  }

  #check(): void {
    if (this.#breach !== undefined) throw this.#breach;
    for (const talk of this.#talks) {
      const leading = this.#held.filter(({ tenure }) => tenure.conversation === talk && tenure.look());
      if (leading.length > 1) this.#fail(`${talk} is led by ${leading.map(({ node }) => node.address).join(" and ")}`);
      const [first] = leading;
      if (first === undefined) continue;
      const highest = this.#highest.get(talk) ?? 0n;
      if (first.tenure.epoch < highest) this.#fail(`${talk} is led under ${first.tenure.epoch} after ${highest}`);
      this.#highest.set(talk, first.tenure.epoch);
    }
    for (const held of this.#held.filter(({ tenure }) => !tenure.look())) if (this.#chance(1, 30)) this.#drop(held);
  }

  /** The faults end: each conversation gets one leader, wherever it has landed. */
  async #settle(): Promise<void> {
    const { clock } = this.#cluster;
    for (const node of this.#nodes) {
      node.clock.resume();
      node.way.heal();
      node.way.renewals("pass");
      node.way.delay({});
      node.doctor.renewedInstead = () => undefined;
      node.drain = async () => "drained";
    }
    await clock.advance(60_000);
    for (const held of [...this.#held]) this.#drop(held);
    for (const talk of this.#talks) await clock.until(this.#openSomewhere(talk));
    this.#check();
    for (const node of this.#dead) node.clock.resume();
    await clock.until(Promise.all([...this.#dead, ...this.#nodes].map((node) => node.membership.stop())));
    await clock.until(Promise.all(this.#work));
    this.#check();
  }

  async #openSomewhere(talk: string): Promise<void> {
    const told: string[] = [];
    for (const node of this.#nodes) {
      try {
        return this.#give(node, await node.membership.tenure(talk));
      } catch (error) {
        told.push(`${node.address}: ${String(error)}`);
      }
    }
    this.#fail(`nobody leads ${talk}: ${told.join("; ")}`);
  }

  /** Refusals are part of the history; bugs are not. */
  #go(work: Promise<unknown>): void {
    const going = work.then(
      () => {},
      (thrown: unknown) => {
        const error = MeridianError.from(thrown);
        if (error.code !== "NOT_LEADER" && error.code !== "UNAVAILABLE") this.#breach ??= error;
      },
    );
    this.#work.add(going);
    void going.finally(() => this.#work.delete(going));
  }

  #fail(what: string): never {
    this.#breach ??= new Error(`at ${this.#cluster.clock.monotonicMs()} ms: ${what}`);
    throw this.#breach;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }

  #chance(numerator: number, denominator: number): boolean {
    return this.#random.chance(numerator, denominator);
  }
}

function isWrite(txn: Txn): boolean {
  return txn.puts !== undefined || txn.deletes !== undefined;
}
