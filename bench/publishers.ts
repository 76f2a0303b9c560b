import { type Client, connect, type Producer } from "../src/index.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import { saturate } from "./load.ts";

/** Applications that publish as fast as a node takes it: each conversation has one, with as many sends out as it may have. */
export class Publishers {
  readonly #client: Client;
  readonly #producers: readonly { readonly producer: Producer; readonly conversation: string }[];
  readonly #body: Uint8Array;

  private constructor(client: Client, options: { readonly conversations: number; readonly bodyBytes: number }) {
    this.#client = client;
    this.#body = new Uint8Array(options.bodyBytes).fill(120);
    this.#producers = Array.from({ length: options.conversations }, (_, at) => ({
      producer: client.producer({ sender: `bench-${at}` }),
      conversation: `bench ${at}`,
    }));
  }

  static async connect(
    endpoint: string,
    options: { readonly conversations: number; readonly bodyBytes: number },
  ): Promise<Publishers> {
    return new Publishers(await connect({ endpoints: [endpoint] }), options);
  }

  /** Answers messages a second that were committed. */
  publish(durationMs: number): Promise<number> {
    const workers = this.#producers.length * LIMITS.producerInFlight;
    return saturate(workers, durationMs, async (worker) => {
      await this.#send(worker % this.#producers.length);
      return 1;
    });
  }

  /** One message, alone. */
  async one(): Promise<void> {
    await this.#send(0);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #send(at: number): Promise<void> {
    const chosen = this.#producers[at];
    if (chosen === undefined) throw new Error("there is no such publisher");
    const outcome = await chosen.producer.send(chosen.conversation, this.#body);
    if (outcome.status !== "committed") throw new Error(`a send ended ${outcome.status}`);
  }
}
