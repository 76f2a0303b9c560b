import { keyOf } from "../src/adapters/memory/key-space.ts";
import { MeridianError } from "../src/kernel/errors.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import { BoundedQueue } from "../src/kernel/queue.ts";
import { keys } from "../src/membership/keys.ts";
import type { Coordinator, LeaseAnswer, LeaseId, Txn, TxnAnswer, WatchAnswer, WatchEvent } from "../src/ports/coordinator.ts";
import type { VirtualClock } from "./clock.ts";
import type { Etcd } from "./etcd.ts";
import type { Links } from "./links.ts";
import type { Moment, Process, TxnFate } from "./process.ts";
import type { SeededRandom } from "./random.ts";

/** Out of 100 transactions that write: what becomes of them. */
export interface TxnTrouble {
  /** The answer is lost, and the transaction is applied: now, later or never. */
  readonly unknown: number;
  /** Refused for sure, as when there are too many requests. */
  readonly busy: number;
}

/** What all roads to the coordinator share. */
export interface RoadWorks {
  readonly etcd: Etcd;
  readonly clock: VirtualClock;
  readonly links: Links;
  readonly random: SeededRandom;
  /** A process has begun to watch beyond changes that it was never told of. */
  readonly missed: (place: string, from: number, toldUpTo: number) => void;
  trouble: TxnTrouble;
  /** The latest that a transaction of unknown outcome lands. */
  readonly lateMs: number;
}

/** Where the coordinator answers from: outside of all regions. */
const ETCD = "etcd-1";

const HELD_MS = 100;

/** One process's way to the coordinator: calls take time, are lost on the way there or back, and watches lag behind. */
export class Road implements Coordinator {
  readonly #works: RoadWorks;
  readonly #process: Process;
  readonly #watches = new Set<(error: MeridianError) => void>();
  /** Added to the way of every event. */
  lagMs = 0;
  /** Up to which revision the process was told of every change that it watches for. */
  #toldUpTo = 0;

  constructor(works: RoadWorks, process: Process) {
    this.#works = works;
    this.#process = process;
  }

  grant(ttlMs: number): Promise<LeaseAnswer> {
    return this.#call("txn answer", "grant", () => this.#works.etcd.grant(ttlMs));
  }

  renew(lease: LeaseId): Promise<LeaseAnswer> {
    const { etcd } = this.#works;
    return this.#call("renewal answer", lease, () => etcd.renew(lease, this.#process.place), false);
  }

  revoke(lease: LeaseId): Promise<void> {
    return this.#call("txn answer", "revoke", () => this.#works.etcd.revoke(lease) ?? null).then(() => {});
  }

  async txn(txn: Txn): Promise<TxnAnswer> {
    const { etcd, random, trouble } = this.#works;
    const writes = (txn.puts?.length ?? 0) + (txn.deletes?.length ?? 0) > 0;
    const fate = writes ? random.below(100) : 100;
    const subject = txn.puts?.[0]?.key ?? txn.deletes?.[0] ?? "read";
    return new Promise((resolve, reject) => {
      this.#process.leave("txn", subject, () => {
        const meant = this.#process.txns.take("txn", subject);
        if (meant !== undefined) return this.#lose(txn, subject, meant, resolve);
        if (fate < trouble.unknown) return this.#lose(txn, subject, this.#drawFate(), resolve);
        const answer = () => (fate < trouble.unknown + trouble.busy ? BUSY : etcd.txn(txn));
        const told = (given: TxnAnswer) => {
          // A list of shards tells of all changes up to its revision, as far as anybody depends on them.
          if ("header" in given && txn.ranges?.some((range) => "prefix" in range && range.prefix === keys.shards) === true)
            this.#toldUpTo = Math.max(this.#toldUpTo, given.header.revision);
          resolve(given);
        };
        this.#call("txn answer", subject, answer).then(told, (error: MeridianError) => {
          if (error.code === "UNAVAILABLE") resolve({ status: "unknown", cause: error });
          else reject(error);
        });
      });
    });
  }

  watch(prefix: string, fromRevision: number): AsyncIterable<WatchAnswer> {
    return { [Symbol.asyncIterator]: () => this.#watch(prefix, fromRevision) };
  }

  /** Ends the open watches. */
  cutWatches(error: MeridianError): void {
    for (const sever of [...this.#watches]) sever(error);
  }

  /** Undefined as an answer: nobody is there to give one. */
  #call<T>(moment: Moment, subject: string, answer: () => T | undefined, needsLeader = true): Promise<T> {
    const { clock, links, etcd, random } = this.#works;
    const { place } = this.#process;
    return new Promise((resolve, reject) => {
      const fail = () => {
        // Either the connection is refused, or there is silence, and the caller's own deadline ends it.
        if (random.chance(1, 2))
          clock.after(20, () => this.#process.enter(() => reject(unavailable("the coordinator is out of reach"))));
      };
      clock.after(links.delayMs(place, ETCD), () => {
        if (!links.open(place, ETCD) || (needsLeader && !etcd.up)) return fail();
        let given: T | undefined;
        try {
          given = answer();
        } catch (error) {
          return this.#process.enter(() => reject(error));
        }
        if (given === undefined) return fail();
        const told = given;
        clock.after(links.delayMs(ETCD, place), () => {
          if (links.open(ETCD, place)) this.#process.answer(moment, subject, () => resolve(told));
          else fail();
        });
      });
    });
  }

  #drawFate(): TxnFate {
    const { random, lateMs } = this.#works;
    const fate = random.below(4);
    const landMs = fate === 0 ? 5 : fate < 3 ? 5 + random.below(random.chance(1, 2) ? 400 : lateMs) : -1;
    return { landMs, answerMs: 10 + random.below(300) };
  }

  #lose(txn: Txn, subject: string, { landMs, answerMs }: TxnFate, tell: (answer: TxnAnswer) => void): void {
    const { clock, etcd } = this.#works;
    const land = () => {
      if (etcd.up) etcd.txn(txn);
      else clock.after(HELD_MS, land);
    };
    if (landMs >= 0) clock.after(landMs, land);
    clock.after(answerMs, () =>
      this.#process.answer("txn answer", subject, () => tell({ status: "unknown", cause: unavailable("no answer") })),
    );
  }

  #watch(prefix: string, fromRevision: number): AsyncIterator<WatchAnswer, void, undefined> {
    const { clock, links, etcd, random } = this.#works;
    const { place } = this.#process;
    const queue = new BoundedQueue<WatchAnswer>(LIMITS.coordinatorWatchQueue);
    let underWay: readonly WatchEvent[][] = [];
    let lastMs = 0;
    let leave = () => {};
    const end = (error?: MeridianError) => {
      underWay = [];
      leave();
      this.#watches.delete(sever);
      queue.close(error);
    };
    const sever = (error: MeridianError) => this.#process.enter(() => end(error));
    const deliver = () => {
      if (!this.#watches.has(sever)) return;
      if (!links.open(ETCD, place) || !etcd.up) {
        clock.after(HELD_MS, deliver);
        return;
      }
      const [events, ...rest] = underWay;
      if (events === undefined) return;
      underWay = rest;
      for (const event of events) this.#toldUpTo = Math.max(this.#toldUpTo, revisionOf(event));
      // The header tells of the present, which may be far ahead of these events.
      const header = etcd.header;
      this.#process.enter(() => queue.push({ header, events }));
    };
    const send = (events: readonly WatchEvent[]) => {
      // The events of one revision may come in two answers.
      const cut = events.length > 1 && random.chance(1, 2) ? 1 + random.below(events.length - 1) : events.length;
      for (const part of [events.slice(0, cut), events.slice(cut)]) {
        if (part.length === 0) continue;
        underWay = [...underWay, [...part]];
        lastMs = Math.max(lastMs, clock.monotonicMs() + links.delayMs(ETCD, place) + this.lagMs);
        clock.after(lastMs - clock.monotonicMs(), deliver);
      }
    };
    this.#watches.add(sever);
    if (fromRevision > this.#toldUpTo + 1) {
      const between = etcd.changesFrom(this.#toldUpTo + 1);
      const isGone = between === "compacted" || between.some(({ revision }) => revision < fromRevision);
      if (isGone) this.#works.missed(place, fromRevision, this.#toldUpTo);
    }
    clock.after(links.delayMs(place, ETCD), () => {
      if (!this.#watches.has(sever)) return;
      if (!links.open(place, ETCD) || !etcd.up) return sever(unavailable("the coordinator is out of reach"));
      const past = etcd.changesFrom(fromRevision);
      if (past === "compacted") return sever(new MeridianError("TRUNCATED", "the changes from there on are compacted"));
      const events = past.flatMap((change) => change.events).filter((event) => keyOf(event).startsWith(prefix));
      if (events.length > 0) send(events);
      leave = etcd.watch(prefix, send);
    });
    const steps = queue[Symbol.asyncIterator]();
    return {
      next: () => steps.next(),
      return: async () => {
        end();
        return { done: true, value: undefined };
      },
    };
  }
}

const BUSY: TxnAnswer = { status: "not-applied", reason: "busy" };

function unavailable(message: string): MeridianError {
  return new MeridianError("UNAVAILABLE", message);
}

function revisionOf(event: WatchEvent): number {
  return event.type === "put" ? event.kv.modRevision : event.modRevision;
}
