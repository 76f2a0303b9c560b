import type { OpenProducer } from "../gen/meridian/v1/client_pb.ts";
import { toErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { withDeadline } from "../kernel/timing.ts";
import { checkSender } from "./admission.ts";
import type { Gateway } from "./gateway.ts";
import type { Outlet } from "./outlet.ts";

export interface ProducersOptions {
  readonly gateway: Pick<Gateway, "newProducerId" | "clock">;
  readonly outlet: Outlet;
}

/** The producers that one session has opened or resumed, with their senders. */
export class Producers {
  readonly #options: ProducersOptions;
  readonly #senders = new Map<bigint, string>();
  #opening = 0;

  constructor(options: ProducersOptions) {
    this.#options = options;
  }

  /** To whom a producer of this session belongs. */
  sender(producer: bigint): string | undefined {
    return this.#senders.get(producer);
  }

  open(request: OpenProducer): void {
    try {
      checkSender(request.sender);
      this.#checkRoom(request.resume);
      if (request.resume !== 0n) this.#resume(request);
      else this.#openNew(request);
    } catch (error) {
      this.#answerError(request, error);
    }
  }

  /** The leaders know to whom the producer belongs, and refuse it to another sender. */
  #resume(request: OpenProducer): void {
    const present = this.#senders.get(request.resume);
    if (present !== undefined && present !== request.sender) {
      throw new MeridianError("INVALID_ARGUMENT", `producer ${request.resume} belongs to another sender of this session`);
    }
    this.#opened(request, request.resume);
  }

  #openNew(request: OpenProducer): void {
    const { gateway } = this.#options;
    this.#opening += 1;
    withDeadline(gateway.clock, LIMITS.callDeadlineMs, "issuing a producer id", gateway.newProducerId()).then(
      (producer) => {
        this.#opening -= 1;
        this.#opened(request, producer);
      },
      (error: unknown) => {
        this.#opening -= 1;
        this.#answerError(request, error);
      },
    );
  }

  #checkRoom(resume: bigint): void {
    if (this.#senders.has(resume) || this.#senders.size + this.#opening < LIMITS.producersPerSession) return;
    throw new MeridianError("OVERLOADED", `a session may have at most ${LIMITS.producersPerSession} producers`, {
      advice: "Open another session for more.",
    });
  }

  #opened(request: OpenProducer, producer: bigint): void {
    this.#senders.set(producer, request.sender);
    this.#options.outlet.answer({ case: "producerOpened", value: { request: request.request, producer } });
  }

  #answerError(request: OpenProducer, error: unknown): void {
    const detail = toErrorDetail(MeridianError.from(error));
    this.#options.outlet.answer({ case: "producerOpened", value: { request: request.request, error: detail } });
  }
}
