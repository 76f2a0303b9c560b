import { MeridianService } from "../src/gen/meridian/v1/client_pb.ts";
import { MeridianError } from "../src/kernel/errors.ts";
import { sleep } from "../src/kernel/timing.ts";
import { digestOf, type OutcomeLine } from "../src/verify/record.ts";
import type { Actor } from "./actor.ts";
import type { Cluster } from "./cluster.ts";
import type { Operation } from "./plan.ts";

const encoder = new TextEncoder();

/** Short, so that callers do not learn of what the nodes go on trying. */
const CALL_MS = 3_000;

export type UnaryOperation = Extract<Operation, { kind: "unary" }>;

type End = { readonly status: "committed"; readonly seq: number; readonly id: bigint } | { readonly status: "unknown" };

/** A message, which outlives its sender's process. */
interface Letter {
  readonly operation: UnaryOperation;
  readonly producer: string;
  /** How many sends the record has of it. */
  sends: number;
  tries: number;
  base: bigint | undefined;
  aboveId: bigint;
}

/**
 * An application without a session (§6). It sends a message by a unary call with a key, and repeats the call through one node
 * after the other, with the same key, content and base, until it has an answer, also after it was killed.
 *
 * With a base all tries are one send of the record: it stands at one seq at most, however late the last try comes. That the
 * key's window has passed is no refusal of the message: an earlier try may have been accepted, and be it one that the node
 * made by itself within the call. So the send ends as unknown. Without a base a late try is a new message by right: then
 * each try is a send of its own, and what they have in common is the key.
 */
export class Caller {
  readonly #cluster: Cluster;
  readonly #actor: Actor;
  readonly #open = new Set<Letter>();
  /** The largest id that its own calls were answered: the client beside it does not know of them. */
  #seen = 0n;
  #letters = 0;

  constructor(cluster: Cluster, actor: Actor) {
    this.#cluster = cluster;
    this.#actor = actor;
  }

  /** Messages without an answer. */
  get pending(): number {
    return this.#open.size;
  }

  send(operation: UnaryOperation): void {
    this.#letters += 1;
    const producer = `${this.#actor.plan.name}/letter-${this.#letters}`;
    const base = typeof operation.base === "number" ? BigInt(operation.base) : undefined;
    const letter: Letter = { operation, producer, sends: 0, tries: 0, base, aboveId: 0n };
    this.#open.add(letter);
    this.#sendOn(letter);
  }

  /** Its process was killed and has started again. */
  restarted(): void {
    for (const letter of this.#open) this.#sendOn(letter);
  }

  #sendOn(letter: Letter): void {
    this.#try(letter).catch((error: unknown) => {
      this.#cluster.witness.breach("bug", `a call of ${letter.producer} threw ${String(error)}`);
    });
  }

  /** Goes on only as long as the process lives in which it began. */
  async #try(letter: Letter): Promise<void> {
    const { pauseMs, base } = letter.operation;
    for (;;) {
      if (letter.sends === 0 || base === undefined) this.#write(letter);
      letter.tries += 1;
      const end = await this.#call(letter);
      if (end !== undefined) return this.#end(letter, end);
      await sleep(this.#actor.clock, pauseMs);
    }
  }

  /** Undefined: no answer, or none that says what became of it. */
  async #call(letter: Letter): Promise<End | undefined> {
    const { endpoints, network } = this.#actor;
    const { conversation, key, base } = letter.operation;
    const { aboveId } = letter;
    const channel = network.channel(endpoints[(letter.tries - 1) % endpoints.length] as string);
    const deadline = { deadlineMs: CALL_MS };
    try {
      if (base === "head" && letter.base === undefined) {
        const { head } = await channel.unary(MeridianService.method.locate, { conversation }, deadline);
        letter.base = head?.seq ?? 0n;
      }
      const text = encoder.encode(key);
      const request = { conversation, sender: "eve", key: text, body: text, aboveId };
      const based = letter.base === undefined ? {} : { base: letter.base };
      const { seq, id } = await channel.unary(MeridianService.method.send, { ...request, ...based }, deadline);
      return { status: "committed", seq: Number(seq), id };
    } catch (error) {
      return MeridianError.from(error).code === "KEY_WINDOW_PASSED" ? { status: "unknown" } : undefined;
    } finally {
      channel.close();
    }
  }

  #write(letter: Letter): void {
    const { conversation, key } = letter.operation;
    if (letter.sends > 0) this.#take(letter, { status: "unknown" });
    letter.sends += 1;
    this.#saw(this.#actor.seenId);
    letter.aboveId = this.#seen;
    const text = encoder.encode(key);
    this.#cluster.recorder.take(
      {
        t: "send",
        // A client of its own: the SDK's beside it does not know what these calls were answered.
        client: `${this.#actor.name}/letters`,
        region: this.#actor.plan.region,
        sender: "eve",
        digest: digestOf({ type: "", body: text, key: text }),
        key,
        seenId: String(letter.aboveId),
        ...this.#line(letter),
      },
      `${letter.producer} sends “${key}” to ${conversation} without a session`,
    );
  }

  #end(letter: Letter, end: End): void {
    this.#open.delete(letter);
    if (end.status === "committed") this.#saw(end.id);
    this.#take(letter, end);
  }

  #saw(id: bigint): void {
    if (id > this.#seen) this.#seen = id;
  }

  #take(letter: Letter, end: End): void {
    const { producer, operation, sends } = letter;
    const how = end.status === "committed" ? `committed at #${end.seq}` : "unknown";
    const line: OutcomeLine = {
      t: "outcome",
      ...this.#line(letter),
      ...(end.status === "committed" ? { ...end, id: String(end.id) } : end),
    };
    this.#cluster.recorder.take(line, `${producer} learns of its send ${sends} to ${operation.conversation}: ${how}`);
  }

  #line({ producer, operation, sends }: Letter) {
    return { producer, conversation: operation.conversation, n: sends, atMs: this.#cluster.clock.monotonicMs() };
  }
}
