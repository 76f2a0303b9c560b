/**
 * The sends of one session: checked, given to the leaders, answered.
 *
 * Submits are passed on as they come, many at a time, so their fates arrive in any order. Outcomes of one producer in one
 * conversation leave in the order of the submits all the same: each such pair has a lane, and only the front of a lane
 * leaves. What becomes ready in one turn of the loop leaves in one frame, with neighbours joined.
 *
 * What stands in a lane counts as in flight until its outcome has been written; the session stops reading while there
 * is too much of it, so a stalled leader or a client that does not read its outcomes fills nothing up.
 */
import type { Submit, SubmitItem } from "../gen/meridian/v1/client_pb.ts";
import type { Background } from "../kernel/background.ts";
import { Deferred } from "../kernel/deferred.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { Fate } from "../routing/leaders.ts";
import { checkItem, checkRun, checkWhole } from "./admission.ts";
import type { Gateway } from "./gateway.ts";
import { outcomeRuns, type Result, type Settled } from "./outcomes.ts";
import type { Outlet } from "./outlet.ts";

/** What a waiting run, and each of its messages, costs beside the bytes it holds, roughly. */
const RUN_BYTES = 1_024;
const ITEM_BYTES = 64;

export interface SubmitsOptions {
  readonly gateway: Pick<Gateway, "leaders" | "clock" | "bodyBytesMax">;
  readonly outlet: Outlet;
  readonly background: Background;
}

interface Waiting {
  readonly firstCounter: number;
  readonly count: number;
  readonly bytes: number;
  result: Result | undefined;
}

interface Lane {
  readonly producer: bigint;
  readonly conversation: string;
  readonly waiting: Waiting[];
  /** An emptying of the lane is under way. */
  leaving: boolean;
}

export class Submits {
  readonly #gateway: SubmitsOptions["gateway"];
  readonly #outlet: Outlet;
  readonly #background: Background;
  readonly #lanes = new Map<string, Lane>();
  #inFlightBytes = 0;
  #changed = new Deferred<void>();

  constructor(options: SubmitsOptions) {
    this.#gateway = options.gateway;
    this.#outlet = options.outlet;
    this.#background = options.background;
  }

  /** Whether the session may read on; else wait for `changed()`. */
  get keepsUp(): boolean {
    return this.#inFlightBytes < LIMITS.sessionInFlightBytes;
  }

  get idle(): boolean {
    return this.#lanes.size === 0;
  }

  /** Resolves when outcomes have left, or at `wake()`. */
  changed(): Promise<void> {
    return this.#changed.promise;
  }

  wake(): void {
    const changed = this.#changed;
    this.#changed = new Deferred();
    changed.resolve();
  }

  /**
   * Takes a submit of a producer of this session; `sender` is undefined for any other. Throws INVALID_ARGUMENT where there is
   * nothing that an outcome could be said of.
   */
  take(submit: Submit, sender: string | undefined): void {
    const { producer, conversation, items } = submit;
    if (items.length === 0) throw new MeridianError("INVALID_ARGUMENT", "a submit has no items");
    const firstCounter = checkWhole("first_counter", submit.firstCounter);
    const lane = this.#lane(producer, conversation);
    try {
      checkRun(conversation, submit.firstCounter, items.length);
      if (sender === undefined) {
        throw new MeridianError("INVALID_ARGUMENT", `producer ${producer} was not opened in this session: open it first`);
      }
    } catch (error) {
      this.#refuse(lane, firstCounter, items.length, MeridianError.from(error));
      return;
    }
    this.#takeItems(lane, submit, sender);
  }

  /**
   * An item that fails its check is refused alone. What follows it goes to the leader like everything else, which holds it
   * back until the missing counter has come or was skipped.
   */
  #takeItems(lane: Lane, submit: Submit, sender: string): void {
    const firstCounter = Number(submit.firstCounter);
    let begin = 0;
    for (const [i, item] of submit.items.entries()) {
      try {
        checkItem(item, this.#gateway.bodyBytesMax);
      } catch (error) {
        this.#pass(lane, submit, sender, begin, i);
        this.#refuse(lane, firstCounter + i, 1, MeridianError.from(error));
        begin = i + 1;
      }
    }
    this.#pass(lane, submit, sender, begin, submit.items.length);
  }

  #pass(lane: Lane, submit: Submit, sender: string, begin: number, end: number): void {
    if (begin === end) return;
    const items = submit.items.slice(begin, end);
    const firstCounter = Number(submit.firstCounter) + begin;
    const waiting: Waiting = { firstCounter, count: items.length, bytes: bytesOf(items), result: undefined };
    this.#enter(lane, waiting);
    const { producer, conversation, aboveId } = submit;
    const submitting = this.#gateway.leaders.submit({ conversation, producer, sender, firstCounter, items, aboveId });
    const what = `sending to ${JSON.stringify(conversation)}`;
    const settle = (result: Result) => {
      waiting.result = result;
      this.#leave(lane);
    };
    // Not work of the background: the end of a session does not wait for its sends.
    withDeadline(this.#gateway.clock, LIMITS.callDeadlineMs, what, submitting).then(
      (fates) => settle(resultOf(fates, items.length)),
      (error: unknown) => settle({ kind: "failed", error: MeridianError.from(error) }),
    );
  }

  #refuse(lane: Lane, firstCounter: number, count: number, error: MeridianError): void {
    this.#enter(lane, { firstCounter, count, bytes: RUN_BYTES, result: { kind: "failed", error } });
    this.#leave(lane);
  }

  #lane(producer: bigint, conversation: string): Lane {
    const key = `${producer} ${conversation}`;
    const lane = this.#lanes.get(key) ?? { producer, conversation, waiting: [], leaving: false };
    this.#lanes.set(key, lane);
    return lane;
  }

  #enter(lane: Lane, waiting: Waiting): void {
    lane.waiting.push(waiting);
    this.#inFlightBytes += waiting.bytes;
  }

  #leave(lane: Lane): void {
    if (lane.leaving || lane.waiting[0]?.result === undefined || this.#background.signal.aborted) return;
    lane.leaving = true;
    this.#background.run("writing outcomes", (signal) => this.#empty(lane, signal));
  }

  /** Writes what is ready at once; what becomes ready while that is on its way is gathered until the next turn. */
  async #empty(lane: Lane, signal: AbortSignal): Promise<void> {
    while (lane.waiting[0]?.result !== undefined && !signal.aborted) {
      await this.#outlet.turn("outcomes", () => this.#write(lane));
      await this.#gateway.clock.nextTurn();
    }
    lane.leaving = false;
    if (signal.aborted) return;
    if (lane.waiting.length === 0) this.#lanes.delete(`${lane.producer} ${lane.conversation}`);
    this.wake();
  }

  #write(lane: Lane): void {
    const ready: Settled[] = [];
    let messages = 0;
    for (const { firstCounter, count, result, bytes } of lane.waiting) {
      if (result === undefined || messages >= LIMITS.producerInFlight) break;
      ready.push({ firstCounter, count, result });
      messages += count;
      this.#inFlightBytes -= bytes;
    }
    lane.waiting.splice(0, ready.length);
    const { producer, conversation } = lane;
    this.#outlet.write({ case: "outcomes", value: { producer, conversation, runs: outcomeRuns(ready) } });
    this.wake();
  }
}

function resultOf(fates: readonly Fate[], count: number): Result {
  if (fates.length === count) return { kind: "fates", fates };
  const message = `a leader gave ${fates.length} outcomes for ${count} messages`;
  return { kind: "failed", error: new MeridianError("INTERNAL", message) };
}

function bytesOf(items: readonly SubmitItem[]): number {
  let bytes = RUN_BYTES;
  for (const item of items) bytes += item.payload.length + item.key.length + ITEM_BYTES;
  return bytes;
}
