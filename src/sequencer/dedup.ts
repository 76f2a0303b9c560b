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
import { create, fromBinary } from "@bufbuild/protobuf";
import { type DedupProducer, type DedupState, DedupStateSchema } from "../gen/meridian/v1/stored_pb.ts";
import { PayloadSchema } from "../gen/meridian/v1/types_pb.ts";
import { MeridianError } from "../kernel/errors.ts";
import { digest64, hash128 } from "../kernel/hash.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Entry } from "../log/batch.ts";

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

interface Recent {
  readonly seq: number;
  readonly id: bigint;
  readonly producer: bigint;
  readonly counter: number;
  readonly digest: bigint;
  readonly key: string | undefined;
}

interface Producer {
  /** The digest of its sender's name. */
  readonly sender: bigint;
  /** The name itself, once somebody has shown the one that has this digest: it is compared for every message. */
  senderName: string | undefined;
  lastCounter: number;
  lastSeq: number;
  lastId: bigint;
  /** The counters that stand in the window. */
  readonly recent: Map<number, Recent>;
}

const VOID_DIGEST = 0n;
const encoder = new TextEncoder();

export class Dedup {
  /** Least recently used first: a Map keeps the order of insertion. */
  readonly #producers = new Map<bigint, Producer>();
  #evicted = 0n;
  readonly #window = new Window();
  readonly #keys = new Map<string, Recent>();

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
    return candidate.producer === 0n ? { kind: "new" } : this.#judgeCounter(candidate);
  }

  /** Enters consecutive entries of the log. */
  apply(firstSeq: number, firstId: bigint, entries: readonly Entry[]): void {
    for (const [i, entry] of entries.entries()) this.#enter(firstSeq + i, firstId + BigInt(i), entry);
  }

  snapshot(): DedupState {
    const index = new Map<bigint, number>();
    const producers = [...this.#producers].map(([id, p], i) => {
      index.set(id, i);
      return { id, lastCounter: BigInt(p.lastCounter), lastSeq: BigInt(p.lastSeq), lastId: p.lastId, sender: p.sender };
    });
    const recents = this.#window.all();
    const digests = Buffer.alloc(8 * recents.length);
    for (const [i, recent] of recents.entries()) digests.writeBigUInt64BE(recent.digest, 8 * i);
    const keyed = recents.flatMap((recent, i) => (this.#keyOf(recent) === undefined ? [] : [i]));
    return create(DedupStateSchema, {
      producers,
      evicted: this.#evicted,
      producer: recents.map((recent) => index.get(recent.producer) ?? producers.length),
      counter: recents.map((recent) => BigInt(recent.counter)),
      digests,
      ids: recents.map((recent) => recent.id),
      keyHashes: Buffer.concat(keyed.map((i) => Buffer.from((recents[i] as Recent).key as string, "hex"))),
      keyIndexes: keyed,
    });
  }

  /** The state that `snapshot` gave when the log ended at `seq`. */
  static restore(state: DedupState, seq: number): Dedup {
    const dedup = new Dedup();
    dedup.#evicted = state.evicted;
    for (const producer of state.producers) dedup.#producers.set(producer.id, restoreProducer(producer));
    const keys = new Map(
      state.keyIndexes.map((at, i) => [at, Buffer.from(state.keyHashes.subarray(16 * i, 16 * i + 16)).toString("hex")]),
    );
    const digests = Buffer.from(state.digests.buffer, state.digests.byteOffset, state.digests.byteLength);
    const firstSeq = seq - state.ids.length + 1;
    for (const [i, id] of state.ids.entries()) {
      const recent: Recent = {
        seq: firstSeq + i,
        id,
        producer: state.producers[state.producer[i] as number]?.id ?? 0n,
        counter: Number(state.counter[i]),
        digest: digests.readBigUInt64BE(8 * i),
        key: keys.get(i),
      };
      dedup.#remember(recent);
      dedup.#producers.get(recent.producer)?.recent.set(recent.counter, recent);
    }
    return dedup;
  }

  #judgeKnownKey(candidate: Candidate, known: Recent): Verdict {
    if (known.digest !== contentDigest(candidate)) {
      return refused("KEY_CONFLICT", "this key was used for other content within the last messages of the conversation");
    }
    if (candidate.producer === 0n) return { kind: "known-key", seq: known.seq, id: known.id, due: false };
    const counter = this.#judgeCounter(candidate);
    if (counter.kind === "early" || counter.kind === "refused") return counter;
    return { kind: "known-key", seq: known.seq, id: known.id, due: counter.kind === "new" };
  }

  #judgeCounter(candidate: Candidate): Verdict {
    const producer = this.#producers.get(candidate.producer);
    if (producer === undefined) {
      if (candidate.producer <= this.#evicted) {
        return refused("PRODUCER_EXPIRED", "this producer was not used for so long that it may have been forgotten");
      }
      return candidate.counter === 1 ? { kind: "new" } : { kind: "early", wanted: 1 };
    }
    if (!belongsTo(producer, candidate.sender)) {
      return refused("PERMISSION_DENIED", "this producer belongs to another sender");
    }
    const wanted = producer.lastCounter + 1;
    if (candidate.counter === wanted) return { kind: "new" };
    if (candidate.counter > wanted) return { kind: "early", wanted };
    return this.#judgeUsed(candidate, producer);
  }

  #judgeUsed(candidate: Candidate, producer: Producer): Verdict {
    const recent = producer.recent.get(candidate.counter);
    if (recent === undefined) {
      if (candidate.counter === producer.lastCounter) {
        return { kind: "repeat", seq: producer.lastSeq, id: producer.lastId, skipped: false };
      }
      return refused("PRODUCER_EXPIRED", `counter ${candidate.counter} was used more than ${LIMITS.dedupMessages} messages ago`);
    }
    const skipped = recent.digest === VOID_DIGEST;
    if (skipped || candidate.skip || recent.digest === contentDigest(candidate)) {
      return { kind: "repeat", seq: recent.seq, id: recent.id, skipped };
    }
    return refused("PRODUCER_CONFLICT", `counter ${candidate.counter} stands in the log with other content`);
  }

  #enter(seq: number, id: bigint, entry: Entry): void {
    const recent: Recent = {
      seq,
      id,
      producer: entry.producer,
      counter: Number(entry.counter),
      digest: entry.void ? VOID_DIGEST : contentDigest(entry),
      key: entry.key.length > 0 && !entry.void ? keyHash(entry.key) : undefined,
    };
    this.#remember(recent);
    if (recent.producer !== 0n) this.#use(recent, entry.sender);
  }

  #use(recent: Recent, sender: string): void {
    const producer = this.#producers.get(recent.producer) ?? newProducer(sender);
    producer.lastCounter = recent.counter;
    producer.lastSeq = recent.seq;
    producer.lastId = recent.id;
    producer.recent.set(recent.counter, recent);
    this.#producers.delete(recent.producer);
    this.#producers.set(recent.producer, producer);
    if (this.#producers.size > LIMITS.dedupProducers) {
      const [oldest] = this.#producers.keys();
      this.#producers.delete(oldest as bigint);
      if ((oldest as bigint) > this.#evicted) this.#evicted = oldest as bigint;
    }
  }

  #remember(recent: Recent): void {
    const gone = this.#window.push(recent);
    if (gone !== undefined) {
      const counters = this.#producers.get(gone.producer)?.recent;
      if (counters?.get(gone.counter) === gone) counters.delete(gone.counter);
      if (this.#keyOf(gone) !== undefined) this.#keys.delete(gone.key as string);
    }
    if (recent.key !== undefined) this.#keys.set(recent.key, recent);
  }

  /** The key that this message, and no later one, stands for. */
  #keyOf(recent: Recent): string | undefined {
    return recent.key !== undefined && this.#keys.get(recent.key) === recent ? recent.key : undefined;
  }
}

/** The last messages, in the order of their seqs: an array that is used as a ring once it is full. */
class Window {
  readonly #ring: Recent[] = [];
  #oldest = 0;

  /** The seq of the oldest message that is remembered; 1 while none was forgotten. */
  get firstSeq(): number {
    return this.#ring[this.#oldest]?.seq ?? 1;
  }

  /** Answers the message that this one pushes out. */
  push(recent: Recent): Recent | undefined {
    if (this.#ring.length < LIMITS.dedupMessages) {
      this.#ring.push(recent);
      return undefined;
    }
    const gone = this.#ring[this.#oldest];
    this.#ring[this.#oldest] = recent;
    this.#oldest = (this.#oldest + 1) % LIMITS.dedupMessages;
    return gone;
  }

  all(): Recent[] {
    return [...this.#ring.slice(this.#oldest), ...this.#ring.slice(0, this.#oldest)];
  }
}

function newProducer(sender: string): Producer {
  return { sender: senderDigest(sender), senderName: sender, lastCounter: 0, lastSeq: 0, lastId: 0n, recent: new Map() };
}

function restoreProducer(stored: DedupProducer): Producer {
  return {
    sender: stored.sender,
    senderName: undefined,
    lastCounter: Number(stored.lastCounter),
    lastSeq: Number(stored.lastSeq),
    lastId: stored.lastId,
    recent: new Map(),
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
  const { type, body } = fromBinary(PayloadSchema, payload);
  return digest64(Buffer.concat([encoder.encode(`${type}\0`), body]));
}

function refused(code: ConstructorParameters<typeof MeridianError>[0], message: string): Verdict {
  return { kind: "refused", error: new MeridianError(code, message) };
}
