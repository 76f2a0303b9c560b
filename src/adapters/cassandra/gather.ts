import { Slots } from "../../kernel/slots.ts";
import type { Clock } from "../../ports/clock.ts";

export interface GatherOptions<In, Out> {
  /** Calls that are on their way together; what is asked for meanwhile leaves with the next one. */
  readonly atOnce: number;
  readonly clock: Pick<Clock, "nextTurn">;
  readonly send: (all: readonly In[]) => Promise<Out>;
}

/** Makes one call of many. An answer is always that of a call that was sent after it was asked for. */
export class Gather<In, Out> {
  readonly #options: GatherOptions<In, Out>;
  readonly #slots: Slots;
  #next: { readonly all: In[]; readonly answer: Promise<Out> } | undefined;

  constructor(options: GatherOptions<In, Out>) {
    this.#options = options;
    this.#slots = new Slots(options.atOnce);
  }

  call(one: In): Promise<Out> {
    const next = this.#next ?? this.#begin();
    next.all.push(one);
    return next.answer;
  }

  #begin() {
    const all: In[] = [];
    const answer = this.#slots.run(async () => {
      await this.#options.clock.nextTurn();
      this.#next = undefined;
      return this.#options.send(all);
    });
    this.#next = { all, answer };
    return this.#next;
  }
}
