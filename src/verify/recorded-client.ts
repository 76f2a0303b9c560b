import type { Client, Location } from "../client/client.ts";
import type { Message } from "../client/messages.ts";
import type { Outcome } from "../client/outcome.ts";
import { MeridianError } from "../kernel/errors.ts";
import type { SendLine } from "./record.ts";
import { RecordedProducer } from "./recorded-producer.ts";
import { RecordedReader } from "./recorded-reader.ts";
import type { Recorder } from "./recorder.ts";

/** Names a send in the record. */
export type SendName = Pick<SendLine, "producer" | "conversation" | "n">;

/** A client whose sends, outcomes, deliveries and heads become lines. */
export class RecordedClient {
  readonly name: string;
  /** Where it lives, also while another region serves it. */
  readonly region: string;
  readonly client: Client;
  readonly recorder: Recorder;
  readonly #producers = new Map<string, RecordedProducer>();
  /** The sends whose outcome is unknown, by their retry keys. */
  readonly #unknown = new Map<string, SendName>();
  #seenId = 0n;

  constructor(recorder: Recorder, client: Client, options: { readonly name: string; readonly region: string }) {
    this.recorder = recorder;
    this.client = client;
    this.name = options.name;
    this.region = options.region;
  }

  /**
   * The largest id that was handed to this client so far, by a delivery or an outcome. The client itself knows of ids before it
   * hands them over, so what it tells the node is at least this.
   */
  get seenId(): bigint {
    return this.#seenId;
  }

  saw(id: bigint): void {
    if (id > this.#seenId) this.#seenId = id;
  }

  /** The producer of this sender: one a sender. */
  producer({ sender }: { readonly sender: string }): RecordedProducer {
    const known = this.#producers.get(sender);
    if (known !== undefined) return known;
    const producer = new RecordedProducer(this, sender);
    this.#producers.set(sender, producer);
    return producer;
  }

  /** Reads a conversation after a seq. `reader` is unique in this record. */
  read(options: {
    readonly reader: string;
    readonly conversation: string;
    readonly after: number;
    readonly onMessage?: (message: Message) => void;
  }): RecordedReader {
    return new RecordedReader(this, options);
  }

  /** As `Client.locate`; the head that it tells is recorded as this region's. */
  async head(conversation: string): Promise<Location> {
    const location = await this.client.locate(conversation);
    const { seq, hash } = location.head;
    this.recorder.write({ t: "head", region: this.region, conversation, seq, hash });
    return location;
  }

  /** As `Client.resolve`, for the retry keys of this client's recorded sends. */
  async resolve(retryKey: string): Promise<Outcome> {
    const send = this.#unknown.get(retryKey);
    if (send === undefined) throw new MeridianError("INVALID_ARGUMENT", "no recorded send of this client has this retry key");
    const outcome = await this.client.resolve(retryKey);
    this.#unknown.delete(retryKey);
    this.ended(send, outcome);
    return outcome;
  }

  /** Records how a send ended. */
  ended(send: SendName, outcome: Outcome): void {
    const line = { t: "outcome" as const, ...send };
    const { recorder } = this;
    switch (outcome.status) {
      case "committed":
        this.saw(outcome.id);
        return recorder.write({ ...line, status: "committed", seq: outcome.seq, id: String(outcome.id) });
      case "unknown":
        this.#unknown.set(outcome.retryKey, send);
        return recorder.write({ ...line, status: "unknown" });
      default:
        return recorder.write({ ...line, status: outcome.status, error: outcome.error.code });
    }
  }
}
