import type { Outcome } from "../client/outcome.ts";
import type { Producer, SendOptions } from "../client/producer.ts";
import { MeridianError } from "../kernel/errors.ts";
import { digestOf } from "./record.ts";
import type { RecordedClient } from "./recorded-client.ts";

const encoder = new TextEncoder();

/** A producer whose sends become lines. */
export class RecordedProducer {
  readonly sender: string;
  readonly #client: RecordedClient;
  readonly #producer: Producer;
  /** How many sends each conversation had. */
  readonly #counts = new Map<string, number>();

  constructor(client: RecordedClient, sender: string) {
    this.sender = sender;
    this.#client = client;
    this.#producer = client.client.producer({ sender });
  }

  /** As `Producer.send`; the traceparent is the record's own. Await `Recorder.room` before. */
  async send(conversation: string, body: Uint8Array | string, options: Omit<SendOptions, "traceparent"> = {}): Promise<Outcome> {
    const { recorder, name: client, region, seenId } = this.#client;
    const { sender } = this;
    const n = (this.#counts.get(conversation) ?? 0) + 1;
    this.#counts.set(conversation, n);
    const producer = `${client}/${sender}`;
    const traceparent = recorder.nextTraceparent();
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    const key = typeof options.key === "string" ? encoder.encode(options.key) : options.key;
    const digest = digestOf({ type: options.type ?? "", body: bytes, key, traceparent });
    const line = { t: "send" as const, client, region, producer, sender, conversation, n, digest, seenId: String(seenId) };
    recorder.write(key === undefined ? line : { ...line, key: keyText(options.key) });
    const send = { producer, conversation, n };
    try {
      const outcome = await this.#producer.send(conversation, bytes, { ...options, traceparent });
      this.#client.ended(send, outcome);
      return outcome;
    } catch (thrown) {
      // A misuse: nothing was sent, which is an end as well.
      this.#client.ended(send, { status: "rejected", error: MeridianError.from(thrown) });
      throw thrown;
    }
  }
}

function keyText(key: SendOptions["key"]): string {
  return typeof key === "string" ? key : Buffer.from(key ?? []).toString("hex");
}
