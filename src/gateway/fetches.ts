import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Follower } from "../feed/follower.ts";
import type { Fetch, FetchedSchema } from "../gen/meridian/v1/client_pb.ts";
import type { Background } from "../kernel/background.ts";
import { toErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation } from "../kernel/names.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { Batch } from "../log/batch.ts";
import { watermarkToWire } from "../routing/watermark.ts";
import { checkWhole } from "./admission.ts";
import type { Gateway } from "./gateway.ts";
import type { Outlet } from "./outlet.ts";
import { Walk } from "./walk.ts";

type Answer = NonNullable<MessageInitShape<typeof FetchedSchema>["answer"]>;

export interface FetchesOptions {
  readonly gateway: Gateway;
  readonly outlet: Outlet;
  readonly background: Background;
}

/** The fetches of one session: each gets exactly one answer, within a bounded time. */
export class Fetches {
  readonly #options: FetchesOptions;
  /** Of each running fetch what ends it. */
  readonly #running = new Set<AbortController>();

  constructor(options: FetchesOptions) {
    this.#options = options;
  }

  fetch(request: Fetch): void {
    const { outlet, background } = this.#options;
    if (this.#running.size >= LIMITS.fetchesPerSession) {
      const message = `a session may have at most ${LIMITS.fetchesPerSession} fetches without an answer`;
      outlet.answer({
        case: "fetched",
        value: { request: request.request, answer: failed(new MeridianError("OVERLOADED", message)) },
      });
      return;
    }
    const ended = new AbortController();
    this.#running.add(ended);
    background.run("a fetch", async () => {
      const answer = await this.#answer(request, ended.signal);
      this.#running.delete(ended);
      outlet.write({ case: "fetched", value: { request: request.request, answer } });
    });
  }

  /** The session is over. */
  close(): void {
    for (const fetch of this.#running) fetch.abort();
  }

  async #answer(request: Fetch, signal: AbortSignal): Promise<Answer> {
    try {
      checkConversation(request.conversation);
      const fromSeq = checkWhole("from_seq", request.fromSeq, 1);
      const toSeq = checkWhole("to_seq", request.toSeq, fromSeq);
      const { follower, release } = this.#options.gateway.followers.follow(request.conversation);
      try {
        const head = await follower.ready(signal);
        const batches = fromSeq > head.seq ? [] : await this.#read(follower, fromSeq, signal);
        if (batches.length === 0) return { case: "notYet", value: watermarkToWire(head) };
        const bytes = batches.filter((batch) => batch.firstSeq <= toSeq).map((batch) => batch.bytes);
        return { case: "entries", value: { batches: bytes } };
      } finally {
        release();
      }
    } catch (error) {
      return failed(MeridianError.from(error));
    }
  }

  async #read(follower: Follower, fromSeq: number, signal: AbortSignal): Promise<readonly Batch[]> {
    const { gateway, outlet } = this.#options;
    const late = new AbortController();
    const walk = new Walk(gateway, follower, fromSeq - 1, late.signal);
    await outlet.enter();
    try {
      const what = `fetching ${JSON.stringify(follower.conversation)} from seq ${fromSeq}`;
      return await withDeadline(gateway.clock, LIMITS.callDeadlineMs, what, walk.take(LIMITS.deliveryBytes), signal);
    } finally {
      late.abort();
      outlet.leave();
    }
  }
}

function failed(error: MeridianError): Answer {
  return { case: "error", value: toErrorDetail(error) };
}
