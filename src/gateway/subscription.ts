/**
 * One subscription of a session: a place in a conversation that pulls, as long as the client has given credit.
 *
 *   1 follow the conversation, and wait for its head
 *   2 load the consumer's cursor, if there is one: the place to start
 *   3 again and again: wait until the head is further, there is credit and the stream is open; take the next batches from
 *     memory or the log; write them
 *
 * The tempting design pushes: register with the feed, buffer what comes, read the log meanwhile, merge. Its buffer needs a
 * limit, the limit an overflow, and the overflow a way back to the log, with a gap or a repeat in each seam. A pulling place
 * has no buffer and no seam: what is not taken yet stands in the log. Whoever is slow reads it there.
 */

import type { Follower } from "../feed/follower.ts";
import type { Subscribe } from "../gen/meridian/v1/client_pb.ts";
import type { Background } from "../kernel/background.ts";
import { Deferred } from "../kernel/deferred.ts";
import { toErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation } from "../kernel/names.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { Batch } from "../log/batch.ts";
import type { CursorKey, CursorPosition } from "../ports/log-store.ts";
import { watermarkToWire } from "../routing/watermark.ts";
import { checkConsumer, checkWhole } from "./admission.ts";
import { CursorSaver } from "./cursors.ts";
import type { Gateway } from "./gateway.ts";
import type { Outlet } from "./outlet.ts";
import { Walk } from "./walk.ts";

export interface SubscriptionOptions {
  readonly gateway: Gateway;
  readonly outlet: Outlet;
  readonly background: Background;
  readonly request: Subscribe;
}

type State =
  | { readonly kind: "starting" }
  /** `delivered`: up to this seq it was written. */
  | { readonly kind: "delivering"; delivered: number }
  /** Without an error: the client ended it. */
  | { readonly kind: "over"; readonly error: MeridianError | undefined };

export class Subscription {
  readonly #gateway: Gateway;
  readonly #outlet: Outlet;
  readonly #background: Background;
  readonly #request: Subscribe;
  readonly #abort = new AbortController();
  #state: State = { kind: "starting" };
  #saver: CursorSaver | undefined;
  #follower: Follower | undefined;
  /** The last acknowledgement that the saver does not have yet. */
  #acknowledged: number | undefined;
  #creditBytes: bigint;
  #changed = new Deferred<void>();

  constructor(options: SubscriptionOptions) {
    this.#gateway = options.gateway;
    this.#outlet = options.outlet;
    this.#background = options.background;
    this.#request = options.request;
    this.#creditBytes = options.request.creditBytes;
  }

  /** Lets the gateway push more. */
  credit(bytes: bigint): void {
    this.#creditBytes += bytes;
    this.#wake();
  }

  /** The application has handled everything up to `seq`. Ends the subscription if that cannot be. */
  acknowledge(seq: bigint): void {
    const state = this.#state;
    if (state.kind === "over") return;
    if (this.#request.consumer === "") {
      this.#refuse("it has no consumer, so nothing can be acknowledged: subscribe with a consumer's name");
    } else if (state.kind === "starting" || seq > BigInt(state.delivered)) {
      const upTo = state.kind === "starting" ? "nothing" : `only up to seq ${state.delivered}`;
      this.#refuse(`seq ${seq} was acknowledged, but ${upTo} has been delivered`);
    } else {
      this.#acknowledged = Number(seq);
      this.#saveCursor();
    }
  }

  /** Ends the subscription; without an error at the client's wish. */
  stop(error?: MeridianError): void {
    if (this.#state.kind === "over") return;
    this.#state = { kind: "over", error };
    this.#abort.abort();
    this.#wake();
  }

  /** The session is over. */
  close(): void {
    this.stop();
    this.#saver?.giveUp();
  }

  /** Runs until `stop` or an error, and tells the client of the end. */
  async run(): Promise<void> {
    try {
      checkConversation(this.#request.conversation);
      const { follower, release } = this.#gateway.followers.follow(this.#request.conversation);
      this.#follower = follower;
      const unwatch = follower.watch(() => this.#wake());
      try {
        await this.#deliver(follower);
      } finally {
        unwatch();
        release();
      }
    } catch (error) {
      this.stop(MeridianError.from(error));
    }
    await this.#saver?.settled();
    if (!this.#background.signal.aborted) this.#sayEnd();
  }

  /** Everything from the head to the end. */
  async #deliver(follower: Follower): Promise<void> {
    await follower.ready(this.#abort.signal);
    const after = await this.#start(follower);
    const head = await follower.ready(this.#abort.signal);
    if (this.#state.kind !== "starting") return;
    this.#state = { kind: "delivering", delivered: after };
    const { subscription } = this.#request;
    const watermark = watermarkToWire(head);
    this.#outlet.answer({ case: "subscribed", value: { subscription, after: BigInt(after), head: watermark } });
    const walk = new Walk(this.#gateway, follower, after, this.#abort.signal);
    while (await this.#wanted(walk)) {
      const { position } = walk;
      await this.#outlet.turn("deliveries", () => this.#write(walk.takeRecent(this.#room())));
      if (walk.position === position) await this.#readAndWrite(walk);
      // What is committed in the same turn leaves in one frame: a frame costs more than what it carries.
      await this.#gateway.clock.nextTurn();
    }
  }

  async #readAndWrite(walk: Walk): Promise<void> {
    await this.#outlet.enter();
    try {
      this.#write(await walk.take(this.#room()));
    } finally {
      this.#outlet.leave();
    }
  }

  #write(batches: readonly Batch[]): void {
    const last = batches.at(-1);
    if (last === undefined || this.#state.kind !== "delivering") return;
    this.#creditBytes -= BigInt(batches.reduce((sum, batch) => sum + batch.bytes.length, 0));
    const { subscription } = this.#request;
    this.#outlet.write({ case: "delivery", value: { subscription, batches: batches.map((batch) => batch.bytes) } });
    this.#state.delivered = last.lastSeq;
  }

  /** The seq to start after: the consumer's cursor if that is further than the place asked for. */
  async #start(follower: Follower): Promise<number> {
    const { consumer, start } = this.#request;
    const asked = start.case === "after" ? checkWhole("after", start.value) : 0;
    const atHead = start.case === "atHead" && start.value;
    if (consumer === "") return atHead ? (follower.head?.seq ?? 0) : asked;
    checkConsumer(consumer);
    const loaded = await this.#loadCursor();
    if (loaded !== undefined) return atHead ? loaded.seq : Math.max(asked, loaded.seq);
    if (!atHead) return asked;
    // Stored at once: after a crash before the first acknowledgement, the head would be another one.
    const after = follower.head?.seq ?? 0;
    await this.#withDeadline("saving", this.#gateway.store.saveCursor(this.#cursorKey(), { generation: 0, seq: after }));
    return after;
  }

  async #loadCursor(): Promise<CursorPosition | undefined> {
    const { store, clock, random } = this.#gateway;
    const key = this.#cursorKey();
    const loaded = await this.#withDeadline("loading", store.loadCursor(key));
    this.#saver = new CursorSaver({
      store,
      key,
      stored: loaded ?? { generation: 0, seq: 0 },
      clock,
      random,
      background: this.#background,
      onSaved: (seq) => this.#saySaved(seq),
      onFailed: (error) => this.stop(error),
    });
    return loaded;
  }

  /**
   * A client may have asked to start above the head that this node knows, and acknowledge that place. If it had the messages
   * from another node, the head will come there; if it made the place up, a cursor there would skip what is yet to come.
   */
  #saveCursor(): void {
    const seq = this.#acknowledged;
    if (seq === undefined || seq > (this.#follower?.head?.seq ?? 0)) return;
    this.#acknowledged = undefined;
    this.#saver?.save(seq);
  }

  #cursorKey(): CursorKey {
    return { conversation: this.#request.conversation, consumer: this.#request.consumer };
  }

  #withDeadline<T>(doing: string, work: Promise<T>): Promise<T> {
    const what = `${doing} the cursor of ${JSON.stringify(this.#request.consumer)}`;
    return withDeadline(this.#gateway.clock, LIMITS.callDeadlineMs, what, work, this.#abort.signal);
  }

  /** Waits until there is something to deliver and credit for it; false when the subscription is over. */
  async #wanted(walk: Walk): Promise<boolean> {
    while (this.#state.kind !== "over" && (!walk.behind || this.#creditBytes <= 0n)) await this.#changed.promise;
    return this.#state.kind !== "over";
  }

  /** How many bytes to take; the last batch may go beyond. */
  #room(): number {
    return this.#creditBytes < LIMITS.deliveryBytes ? Number(this.#creditBytes) : LIMITS.deliveryBytes;
  }

  #refuse(why: string): void {
    const { subscription } = this.#request;
    this.stop(new MeridianError("INVALID_ARGUMENT", `subscription ${subscription} was ended: ${why}`));
  }

  #saySaved(seq: number): void {
    if (this.#background.signal.aborted) return;
    this.#outlet.answer({ case: "cursorSaved", value: { subscription: this.#request.subscription, seq: BigInt(seq) } });
  }

  #sayEnd(): void {
    const error = this.#state.kind === "over" ? this.#state.error : undefined;
    const { subscription } = this.#request;
    const detail = error === undefined ? {} : { error: toErrorDetail(error) };
    this.#outlet.answer({ case: "subscriptionEnded", value: { subscription, ...detail } });
  }

  #wake(): void {
    if (this.#state.kind === "delivering") this.#saveCursor();
    const changed = this.#changed;
    this.#changed = new Deferred();
    changed.resolve();
  }
}
