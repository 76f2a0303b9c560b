/**
 * Recognising retries (G3).
 *
 * The tempting ideas: a table beside the log, which is lost or stale after a crash; a time-to-live, which makes the answer
 * depend on clocks; remembering what was *asked*, which refuses the retry of a send that never reached the log. The idea
 * used: the state is a function of the log alone. It is changed only by entries that got a seq, in the order of their seqs,
 * so every leader that has read the same log gives the same answers, and a checkpoint of it is just a place to start from.
 *
 * It is bounded: the last 65,536 messages and the 10,000 most recently used producers. What falls out is never taken for
 * new: a producer's counters follow each other without a gap, so a counter at or below its last one was used; and the
 * largest producer id that was ever evicted is kept, below which an unknown producer may be one that was forgotten.
 */
import { create } from "@bufbuild/protobuf";
import { type DedupProducer, type DedupState, DedupStateSchema } from "../gen/meridian/v1/stored_pb.ts";
import { PayloadSchema } from "../gen/meridian/v1/types_pb.ts";
import { decode } from "../kernel/decode.ts";
import { MeridianError } from "../kernel/errors.ts";
import { digest64, hash128 } from "../kernel/hash.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Entry } from "../log/batch.ts";
import { RecentCounters } from "./recent-counters.ts";
import { RecentMessages } from "./recent-messages.ts";

/** A message that asks for a seq, as far as recognising it goes. */
export interface Candidate {
  readonly producer: bigint;
  readonly sender: string;
  readonly counter: number;
  readonly key: Uint8Array;
  readonly payload: Uint8Array;
  readonly skip: boolean;
  /** A head seq known before the first try of a keyed send without a session. */
  readonly base: number | undefined;
}

/**
 * new: give it a seq. repeat: it has one (`skipped`: a void stands there). known-key: another try of the same key was
 * accepted as this; the producer's counter, if it is `due`, must still be used up by a void. early: `wanted` comes first.
 */
export type Verdict =
  | { readonly kind: "new" }
  | { readonly kind: "repeat"; readonly seq: number; readonly id: bigint; readonly skipped: boolean }
  | { readonly kind: "known-key"; readonly seq: number; readonly id: bigint; readonly due: boolean }
  | { readonly kind: "early"; readonly wanted: number }
  | { readonly kind: "refused"; readonly error: MeridianError };

interface Producer {
  /** The digest of its sender's name. */
  readonly sender: bigint;
  /** The name itself, once somebody has shown the one that has this digest: it is compared for every message. */
  senderName: string | undefined;
  lastCounter: number;
  lastSeq: number;
  lastId: bigint;
  /** The last counter was given up. The window may have forgotten it, and this must not be. */
  lastVoid: boolean;
  /** The seqs of the counters that stand in the window. */
  readonly recent: RecentCounters;
}

const VOID_DIGEST = 0n;
const NEW: Verdict = { kind: "new" };
const encoder = new TextEncoder();

export class Dedup {
  /** Least recently used first: a Map keeps the order of insertion. */
  readonly #producers = new Map<bigint, Producer>();
  /** The most recently used one: mostly it is the next one too, and to look for an id in a Map takes long. */
  #newest: { readonly id: bigint; readonly producer: Producer } | undefined;
  #evicted = 0n;
  readonly #window = new RecentMessages<Producer>();
  /** By the key's hash: the seq of the last message in the window that carries it. */
  readonly #keys = new Map<string, number>();
  /** By seq: the hashes of the keys in the window. */
  readonly #keyed = new Map<number, string>();

  judge(candidate: Candidate): Verdict {
    if (candidate.key.length > 0 && !candidate.skip) {
      const known = this.#keys.get(keyHash(candidate.key));
      if (known !== undefined) return this.#judgeKnownKey(candidate, known);
      if (candidate.base !== undefined && candidate.base < this.#window.firstSeq - 1) {
        return refused(
          "KEY_WINDOW_PASSED",
          `the log has gone on by more than ${LIMITS.dedupMessages} messages since seq ${candidate.base}`,
        );
      }
    }
    return candidate.producer === 0n ? NEW : this.#judgeCounter(candidate);
  }

  /** Enters consecutive entries of the log. */
  apply(firstSeq: number, firstId: bigint, entries: readonly Entry[]): void {
    for (let i = 0; i < entries.length; i += 1) this.enter(firstSeq + i, firstId + BigInt(i), entries[i] as Entry);
  }

  /** Enters the next entry of the log. */
  enter(seq: number, id: bigint, entry: Entry): void {
    const producer = entry.producer === 0n ? undefined : (this.#known(entry.producer) ?? newProducer(entry.sender));
    const { counter } = entry;
    this.#forgetOldest();
    this.#window.push(seq, { id, producer, counter, digest: entry.void ? VOID_DIGEST : contentDigest(entry) });
    if (entry.key.length > 0 && !entry.void) this.#rememberKey(seq, keyHash(entry.key));
    if (producer === undefined) return;
    producer.lastCounter = Number(counter);
    producer.lastSeq = seq;
    producer.lastId = id;
    producer.lastVoid = entry.void;
    producer.recent.add(producer.lastCounter, seq);
    this.#use(entry.producer, producer);
  }

  snapshot(): DedupState {
    const index = new Map<Producer, number>();
    const producers = [...this.#producers].map(([id, p], i) => {
      index.set(p, i);
      const { lastId, lastVoid, sender } = p;
      return { id, lastCounter: BigInt(p.lastCounter), lastSeq: BigInt(p.lastSeq), lastId, lastVoid, sender };
    });
    const { firstSeq, endSeq } = this.#window;
    const seqs = Array.from({ length: endSeq - firstSeq }, (_, i) => firstSeq + i);
    const digests = new DataView(new ArrayBuffer(8 * seqs.length));
    for (const seq of seqs) digests.setBigUint64(8 * (seq - firstSeq), this.#window.digest(seq));
    const keyed = [...this.#keyed].filter(([seq, key]) => this.#keys.get(key) === seq);
    return create(DedupStateSchema, {
      producers,
      evicted: this.#evicted,
      producer: seqs.map((seq) => index.get(this.#window.producer(seq) as Producer) ?? producers.length),
      counter: seqs.map((seq) => this.#window.counter(seq)),
      digests: new Uint8Array(digests.buffer),
      ids: seqs.map((seq) => this.#window.id(seq)),
      keyHashes: Buffer.concat(keyed.map(([, key]) => Buffer.from(key, "hex"))),
      keyIndexes: keyed.map(([seq]) => seq - firstSeq),
    });
  }

  /** The state that `snapshot` gave when the log ended at `seq`. */
  static restore(state: DedupState, seq: number): Dedup {
    const dedup = new Dedup();
    dedup.#evicted = state.evicted;
    const producers = state.producers.map(restoreProducer);
    for (const [i, { id }] of state.producers.entries()) dedup.#producers.set(id, producers[i] as Producer);
    const digests = Buffer.from(state.digests.buffer, state.digests.byteOffset, state.digests.byteLength);
    const firstSeq = seq - state.ids.length + 1;
    for (const [i, id] of state.ids.entries()) {
      const producer = producers[state.producer[i] as number];
      const counter = state.counter[i] as bigint;
      dedup.#window.push(firstSeq + i, { id, producer, counter, digest: digests.readBigUInt64BE(8 * i) });
      producer?.recent.add(Number(counter), firstSeq + i);
    }
    for (const [i, at] of state.keyIndexes.entries()) {
      dedup.#rememberKey(firstSeq + at, Buffer.from(state.keyHashes.subarray(16 * i, 16 * i + 16)).toString("hex"));
    }
    return dedup;
  }

  #judgeKnownKey(candidate: Candidate, seq: number): Verdict {
    const window = this.#window;
    if (window.digest(seq) !== contentDigest(candidate)) {
      return refused("KEY_CONFLICT", "this key was used for other content within the last messages of the conversation");
    }
    const known = { kind: "known-key", seq, id: window.id(seq) } as const;
    if (candidate.producer === 0n) return { ...known, due: false };
    const counter = this.#judgeCounter(candidate);
    if (counter.kind === "early" || counter.kind === "refused") return counter;
    return { ...known, due: counter.kind === "new" };
  }

  #judgeCounter(candidate: Candidate): Verdict {
    const producer = this.#known(candidate.producer);
    if (producer === undefined) {
      if (candidate.producer <= this.#evicted) {
        return refused("PRODUCER_EXPIRED", "this producer was not used for so long that it may have been forgotten");
      }
      return candidate.counter === 1 ? NEW : { kind: "early", wanted: 1 };
    }
    if (!belongsTo(producer, candidate.sender)) {
      return refused("PERMISSION_DENIED", "this producer belongs to another sender");
    }
    const wanted = producer.lastCounter + 1;
    if (candidate.counter === wanted) return NEW;
    if (candidate.counter > wanted) return { kind: "early", wanted };
    return this.#judgeUsed(candidate, producer);
  }

  #judgeUsed(candidate: Candidate, producer: Producer): Verdict {
    const seq = producer.recent.get(candidate.counter);
    if (seq === undefined) {
      if (candidate.counter === producer.lastCounter) {
        return { kind: "repeat", seq: producer.lastSeq, id: producer.lastId, skipped: producer.lastVoid };
      }
      return refused("PRODUCER_EXPIRED", `counter ${candidate.counter} was used more than ${LIMITS.dedupMessages} messages ago`);
    }
    const digest = this.#window.digest(seq);
    const skipped = digest === VOID_DIGEST;
    if (skipped || candidate.skip || digest === contentDigest(candidate)) {
      return { kind: "repeat", seq, id: this.#window.id(seq), skipped };
    }
    return refused("PRODUCER_CONFLICT", `counter ${candidate.counter} stands in the log with other content`);
  }

  #known(id: bigint): Producer | undefined {
    return this.#newest?.id === id ? this.#newest.producer : this.#producers.get(id);
  }

  /** Makes it the most recently used one. */
  #use(id: bigint, producer: Producer): void {
    if (producer === this.#newest?.producer) return;
    this.#newest = { id, producer };
    this.#producers.delete(id);
    this.#producers.set(id, producer);
    if (this.#producers.size > LIMITS.dedupProducers) {
      const [oldest] = this.#producers.keys();
      this.#producers.delete(oldest as bigint);
      if ((oldest as bigint) > this.#evicted) this.#evicted = oldest as bigint;
    }
  }

  /** Makes room for another message in the window. */
  #forgetOldest(): void {
    const seq = this.#window.leaving;
    if (seq === undefined) return;
    this.#window.producer(seq)?.recent.forget(Number(this.#window.counter(seq)), seq);
    const key = this.#keyed.get(seq);
    if (key === undefined) return;
    this.#keyed.delete(seq);
    if (this.#keys.get(key) === seq) this.#keys.delete(key);
  }

  #rememberKey(seq: number, key: string): void {
    this.#keyed.set(seq, key);
    this.#keys.set(key, seq);
  }
}

function newProducer(sender: string): Producer {
  const last = { lastCounter: 0, lastSeq: 0, lastId: 0n, lastVoid: false };
  return { sender: senderDigest(sender), senderName: sender, ...last, recent: new RecentCounters() };
}

function restoreProducer(stored: DedupProducer): Producer {
  return {
    sender: stored.sender,
    senderName: undefined,
    lastCounter: Number(stored.lastCounter),
    lastSeq: Number(stored.lastSeq),
    lastId: stored.lastId,
    lastVoid: stored.lastVoid,
    recent: new RecentCounters(),
  };
}

function belongsTo(producer: Producer, sender: string): boolean {
  if (producer.senderName === sender) return true;
  if (producer.sender !== senderDigest(sender)) return false;
  producer.senderName = sender;
  return true;
}

function keyHash(key: Uint8Array): string {
  return hash128([key]);
}

function senderDigest(sender: string): bigint {
  return digest64(encoder.encode(sender));
}

/**
 * A session's retry repeats the very bytes. Whoever repeats a key says the same thing again, perhaps days later and from
 * another process: then the payload's type and body are the content, and its time and trace are not.
 */
function contentDigest({ payload, key }: { readonly payload: Uint8Array; readonly key: Uint8Array }): bigint {
  if (key.length === 0) return digest64(payload);
  const { type, body } = decode(PayloadSchema, payload);
  return digest64(Buffer.concat([encoder.encode(`${type}\0`), body]));
}

function refused(code: ConstructorParameters<typeof MeridianError>[0], message: string): Verdict {
  return { kind: "refused", error: new MeridianError(code, message) };
}
