import { create } from "@bufbuild/protobuf";
import { type Entry, EntrySchema } from "../../src/gen/meridian/v1/stored_pb.ts";
import { Deferred } from "../../src/kernel/deferred.ts";
import { MeridianError } from "../../src/kernel/errors.ts";
import { type Batch, EMPTY, encodeBatch, type Watermark } from "../../src/log/batch.ts";
import type { LogStore } from "../../src/ports/log-store.ts";
import type { Attachment, Fate, FeedListener, Leaders, SubmitRun } from "../../src/routing/leaders.ts";
import { payload } from "./sends.ts";

interface Feed {
  head: Watermark;
  nextId: bigint;
  readonly batches: Batch[];
  readonly listeners: Set<FeedListener>;
}

export interface HeldSubmit {
  readonly run: SubmitRun;
  readonly answer: Deferred<readonly Fate[]>;
}

/** The leaders of all conversations, on a test's strings: real batches in the store, and feeds that the test moves. */
export class FakeLeaders implements Leaders {
  readonly #store: Pick<LogStore, "append">;
  readonly #feeds = new Map<string, Feed>();
  /** Submits that wait for the test, once `hold` is true. */
  readonly held: HeldSubmit[] = [];
  readonly runs: SubmitRun[] = [];
  hold = false;
  attaches = 0;
  detaches = 0;
  /** Called at each attach, before anything else; it may wait or throw. */
  beforeAttach: (conversation: string) => Promise<void> = async () => {};
  /** Called between the registration of a listener and the answer of its attach. */
  beforeAnswer: (conversation: string) => Promise<void> = async () => {};

  constructor(store: Pick<LogStore, "append">) {
    this.#store = store;
  }

  async submit(run: SubmitRun): Promise<readonly Fate[]> {
    this.runs.push(run);
    if (!this.hold) return this.place(run);
    const answer = new Deferred<readonly Fate[]>();
    this.held.push({ run, answer });
    return answer.promise;
  }

  /** Commits the run as one batch. */
  async place(run: SubmitRun): Promise<readonly Fate[]> {
    const entries = run.items.map((item, i) =>
      create(EntrySchema, {
        producer: run.producer,
        counter: BigInt(run.producer === 0n ? 0 : run.firstCounter + i),
        sender: run.sender,
        key: item.key,
        payload: item.payload,
        void: item.skip,
      }),
    );
    const batch = await this.commitEntries(run.conversation, entries);
    return run.items.map((item, i) => ({
      kind: item.skip ? "skipped" : "placed",
      seq: batch.firstSeq + i,
      id: batch.firstId + BigInt(i),
    }));
  }

  async attach(conversation: string, listener: FeedListener): Promise<Attachment> {
    this.attaches += 1;
    await this.beforeAttach(conversation);
    const feed = this.#feed(conversation);
    const { head } = feed;
    feed.listeners.add(listener);
    await this.beforeAnswer(conversation);
    return {
      head,
      epoch: 1n,
      watermark: () => feed.head,
      detach: () => {
        this.detaches += 1;
        feed.listeners.delete(listener);
      },
    };
  }

  listeners(conversation: string): number {
    return this.#feed(conversation).listeners.size;
  }

  head(conversation: string): Watermark {
    return this.#feed(conversation).head;
  }

  batches(conversation: string): readonly Batch[] {
    return this.#feed(conversation).batches;
  }

  /** Commits one message a text as one batch, and feeds it. */
  commit(conversation: string, ...texts: readonly string[]): Promise<Batch> {
    return this.commitEntries(
      conversation,
      texts.map((text) => create(EntrySchema, { sender: "ada", payload: payload(text) })),
    );
  }

  async commitEntries(conversation: string, entries: readonly Entry[]): Promise<Batch> {
    const feed = this.#feed(conversation);
    const batch = encodeBatch({
      conversation,
      firstSeq: feed.head.seq + 1,
      firstId: feed.nextId,
      prevHash: feed.head.hash,
      entries,
      watermark: feed.head,
    });
    feed.nextId += BigInt(entries.length);
    feed.head = { seq: batch.lastSeq, hash: batch.hash };
    feed.batches.push(batch);
    await this.#store.append({ conversation, firstSeq: batch.firstSeq, epoch: 1n, bytes: batch.bytes });
    this.feed(conversation, batch);
    return batch;
  }

  /** Hands a batch, any batch, to all listeners. */
  feed(conversation: string, batch: Batch): void {
    for (const listener of this.#feed(conversation).listeners) listener.batch(batch);
  }

  /** The leader goes: its feeds end, and nobody hears what comes until it attaches again. */
  end(conversation: string): void {
    const { listeners } = this.#feed(conversation);
    const ended = [...listeners];
    listeners.clear();
    for (const listener of ended) listener.end(new MeridianError("NOT_LEADER", "the leader has gone"));
  }

  /** Makes the conversation's head this one, without a word to anybody. */
  rewrite(conversation: string, head: Watermark): void {
    this.#feed(conversation).head = head;
  }

  #feed(conversation: string): Feed {
    let feed = this.#feeds.get(conversation);
    if (feed === undefined) {
      feed = { head: EMPTY, nextId: 1_000n, batches: [], listeners: new Set() };
      this.#feeds.set(conversation, feed);
    }
    return feed;
  }
}
