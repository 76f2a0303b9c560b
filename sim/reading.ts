import type { Client } from "../src/client/client.ts";
import type { Message } from "../src/client/messages.ts";
import type { Subscription } from "../src/client/subscription.ts";
import { digestOf } from "../src/verify/record.ts";
import type { Actor } from "./actor.ts";
import type { Cluster } from "./cluster.ts";
import type { ReadingPlan } from "./plan.ts";

/**
 * One application's reading of one conversation, over restarts of its process. It handles slowly, fails at times, and keeps
 * its cursor where the plan says. Every subscription is a reader of its own in the record, which begins where the one before
 * had come to, or lower when a cursor was not saved; seqs that it is not handed are claimed to be voids, and the record's
 * checks compare that with what others were handed.
 */
export class Reading {
  readonly plan: ReadingPlan;
  /** Whether the application has begun to read. */
  joined: boolean;
  readonly #cluster: Cluster;
  readonly #actor: Actor;
  /** Everything up to here was handled, or is a void. */
  #at = 0;
  /** The application's own cursor. */
  #saved = 0;
  #subscriptions = 0;
  #reader = "";
  /** Its name in the record: another one where the server's cursor has jumped. */
  #walk = "";
  readonly #handled = new Set<number>();
  #isTold = false;
  #subscription: Subscription | undefined;
  #failed = new Set<number>();

  constructor(cluster: Cluster, actor: Actor, plan: ReadingPlan) {
    this.#cluster = cluster;
    this.#actor = actor;
    this.plan = plan;
    this.joined = plan.fromMs === undefined;
  }

  get position(): number {
    return this.#subscription?.position ?? 0;
  }

  get head(): number {
    return this.#subscription?.head ?? 0;
  }

  begin(client: Client): void {
    const { conversation, cursor } = this.plan;
    this.#subscriptions += 1;
    this.#reader = `${this.#actor.plan.name}/${conversation}/${this.#subscriptions}`;
    this.#walk = this.#reader;
    this.#failed = new Set();
    this.#isTold = false;
    if (cursor === "none") this.#start(0);
    if (cursor === "application") this.#start(this.#saved);
    const name = this.#reader;
    const subscription = client.subscribe(conversation, {
      onMessage: (message) => this.#handle(message),
      ...(cursor === "application" ? { cursors: { load: () => this.#saved, save: (_, seq) => this.#save(seq) } } : {}),
      ...(cursor === "server" ? { consumer: this.#actor.plan.name } : {}),
    });
    this.#subscription = subscription;
    subscription.started.catch(() => {});
    void subscription.ended.then((error) => {
      if (error === undefined || this.#reader !== name) return;
      this.#cluster.trace.say(`${name} ends: ${error.code} ${error.message}`);
      this.passOver(subscription.position);
      this.#actor.clock.after(500, () => this.#reader === name && this.#actor.readAgain(this));
    });
  }

  /** The process is gone; what a cursor was moved over without being handled is claimed to be void. */
  stop(): void {
    if (this.plan.cursor === "application") this.passOver(this.#saved);
    this.#reader = "";
    this.#subscription = undefined;
  }

  /** Nothing was handed over from the present place to there. */
  passOver(last: number): void {
    if (last <= this.#at) return;
    this.#tell(this.#at);
    const first = this.#at + 1;
    this.#at = last;
    this.#cluster.recorder.take(
      { t: "void", ...this.#line(), first, last },
      `${this.#walk} is shown nothing for #${first} to #${last}`,
    );
  }

  /** The last verified place. */
  attest(): void {
    const proof = this.#subscription?.proof;
    if (proof !== undefined) this.#cluster.witness.watermark(this.plan.conversation, proof.seq, proof.hash, this.#reader);
  }

  async #handle(message: Message): Promise<void> {
    const { handlerMs, fails, conversation } = this.plan;
    const { random } = this.#cluster;
    this.#actor.saw(message.id);
    const name = this.#reader;
    if (handlerMs > 0) await this.#actor.sleep(random.actors.below(handlerMs));
    if (fails > 0 && !this.#failed.has(message.seq) && random.actors.below(100) < fails) {
      this.#failed.add(message.seq);
      throw new Error("the application fails");
    }
    if (name !== this.#reader) return;
    const { seq, id, sender } = message;
    // A server's cursor may stand below what was handled: then it begins there.
    this.#tell(Math.min(this.#at, seq - 1));
    if (this.#wasMovedTo(seq - 1)) this.#walkOnFrom(seq - 1);
    this.passOver(seq - 1);
    this.#at = Math.max(this.#at, seq);
    this.#handled.add(seq);
    const words = `${this.#walk} is handed ${conversation}#${seq} “${Buffer.from(message.body).toString()}” of ${sender}`;
    this.#cluster.recorder.take(
      { t: "delivery", ...this.#line(), seq, id: String(id), sender, digest: digestOf(message) },
      words,
    );
  }

  /**
   * A process before this one was handed some of what is passed over now, and its cursor was saved late: the new session
   * has met it. That is no claim that there was nothing.
   */
  #wasMovedTo(last: number): boolean {
    if (this.plan.cursor !== "server") return false;
    for (let seq = this.#at + 1; seq <= last; seq += 1) if (this.#handled.has(seq)) return true;
    return false;
  }

  #walkOnFrom(seq: number): void {
    this.#walk = `${this.#reader}, moved to #${seq}`;
    this.#isTold = false;
    this.#tell(seq);
  }

  async #save(seq: number): Promise<void> {
    await this.#actor.sleep(this.#cluster.random.actors.below(20));
    this.#saved = Math.max(seq, this.#saved);
  }

  #start(seq: number): void {
    this.#at = seq;
    this.#tell(seq);
  }

  #tell(seq: number): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#at = seq;
    this.#cluster.recorder.take({ t: "position", ...this.#line(), seq }, `${this.#walk} reads from after #${seq}`);
  }

  #line() {
    const { region } = this.#actor.plan;
    return { reader: this.#walk, region, conversation: this.plan.conversation, atMs: this.#cluster.clock.monotonicMs() };
  }
}
