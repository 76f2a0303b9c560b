import type { Message } from "../client/messages.ts";
import type { Subscription } from "../client/subscription.ts";
import type { MeridianError } from "../kernel/errors.ts";
import { digestOf } from "./record.ts";
import type { RecordedClient } from "./recorded-client.ts";

/** A line of a record may name so many voids. */
const VOIDS_PER_LINE = 65_536;

/** A subscription whose deliveries become lines, and the voids between them. */
export class RecordedReader {
  readonly conversation: string;
  readonly region: string;
  readonly #client: RecordedClient;
  readonly #subscription: Subscription;
  readonly #names: { readonly reader: string; readonly region: string; readonly conversation: string };
  readonly #onMessage: (message: Message) => void;
  /** Up to here everything is recorded. */
  #recorded: number;
  #error: MeridianError | undefined;

  constructor(
    client: RecordedClient,
    options: {
      readonly reader: string;
      readonly conversation: string;
      readonly after: number;
      readonly onMessage?: (message: Message) => void;
    },
  ) {
    const { reader, conversation, after } = options;
    this.conversation = conversation;
    this.region = client.region;
    this.#client = client;
    this.#names = { reader, region: client.region, conversation };
    this.#onMessage = options.onMessage ?? (() => {});
    this.#recorded = after;
    this.#tellPosition(after);
    this.#subscription = client.client.subscribe(conversation, { after, onMessage: (message) => this.#take(message) });
    void this.#subscription.ended.then((error) => {
      this.#error = error;
    });
  }

  /** Resolves once a node has taken the subscription. Throws when it ended before. */
  get started(): Promise<void> {
    return this.#subscription.started;
  }

  /** Up to here everything was handed over. */
  get position(): number {
    return this.#subscription.position;
  }

  /** What ended it, if anything but `close` did. */
  get error(): MeridianError | undefined {
    return this.#error;
  }

  /** Closes the subscription and records how far it has come. */
  async close(): Promise<void> {
    await this.#subscription.close();
    this.#tellVoids(this.position);
    this.#tellPosition(this.position);
  }

  /** A reader that waits here for the record is slow to its node, which is the back pressure there is. */
  async #take(message: Message): Promise<void> {
    const { recorder } = this.#client;
    await recorder.room();
    const { seq, id, sender } = message;
    this.#tellVoids(seq - 1);
    this.#recorded = seq;
    this.#client.saw(id);
    recorder.write({ t: "delivery", ...this.#names, seq, id: String(id), sender, digest: digestOf(message) });
    this.#onMessage(message);
  }

  /** What was passed over since the last delivery, up to `through`. */
  #tellVoids(through: number): void {
    while (this.#recorded < through) {
      const first = this.#recorded + 1;
      const last = Math.min(through, this.#recorded + VOIDS_PER_LINE);
      this.#client.recorder.write({ t: "void", ...this.#names, first, last });
      this.#recorded = last;
    }
  }

  #tellPosition(seq: number): void {
    this.#client.recorder.write({ t: "position", ...this.#names, seq });
  }
}
