import { type Client, connect, type Outcome, type Producer } from "../src/index.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import { saturate } from "./load.ts";

/** As many in each conversation: with one, the sends that are on their way to the node would leave the log idle. */
const PRODUCERS = 2;

/** Applications that publish as fast as a node takes it, several in each conversation. */
export class Publishers {
  /** Sends out in each conversation when every producer has as many as it may have. */
  static readonly most = PRODUCERS * LIMITS.producerInFlight;

  readonly #client: Client;
  readonly #conversations: number;
  readonly #producers: readonly { readonly producer: Producer; readonly conversation: string }[];
  readonly #body: Uint8Array;

  private constructor(client: Client, options: { readonly conversations: number; readonly bodyBytes: number }) {
    this.#client = client;
    this.#body = new Uint8Array(options.bodyBytes).fill(120);
    this.#conversations = options.conversations;
    this.#producers = Array.from({ length: PRODUCERS * options.conversations }, (_, at) => ({
      producer: client.producer({ sender: `bench-${at}` }),
      conversation: `bench ${at % options.conversations}`,
    }));
  }

  static async connect(
    endpoint: string,
    options: { readonly conversations: number; readonly bodyBytes: number },
  ): Promise<Publishers> {
    return new Publishers(await connect({ endpoints: [endpoint] }), options);
  }

  /** With so many sends out in each conversation; answers messages a second that were committed. */
  publish(durationMs: number, out: number): Promise<number> {
    return saturate({
      inFlight: this.#conversations * out,
      durationMs,
      once: (worker) => this.#send(worker % this.#producers.length),
      messages: committed,
    });
  }

  /** One message, alone. */
  async one(): Promise<void> {
    committed(await this.#send(0));
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #send(at: number): Promise<Outcome> {
    const chosen = this.#producers[at];
    if (chosen === undefined) throw new Error("there is no such publisher");
    return chosen.producer.send(chosen.conversation, this.#body);
  }
}

/** How many messages that is. */
function committed({ status }: Outcome): number {
  if (status !== "committed") throw new Error(`a send ended ${status}`);
  return 1;
}
