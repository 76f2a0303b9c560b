import { invariant, MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";

/** Ids count milliseconds from here, so that 41 bits last until September 2093. Never change it: old ids would come again. */
export const ID_EPOCH_MS = Date.UTC(2024, 0, 1);

/** How the 63 bits of an id are shared out. All nodes of a cluster need the same widths, for ever. */
export interface IdWidths {
  readonly timeBits: number;
  readonly workerBits: number;
  readonly counterBits: number;
}

/** What an id is made of. */
export interface IdParts {
  /** Milliseconds of UTC since 1970. */
  readonly utcMs: number;
  readonly worker: number;
  readonly counter: number;
}

const DEFAULT_WIDTHS: IdWidths = { timeBits: 41, workerBits: 10, counterBits: 12 };

/**
 * An id is `milliseconds since ID_EPOCH_MS | worker number | counter`, the time on top: sorted ids are roughly sorted by
 * time. The 64th bit stays 0, so that ids are positive in languages without unsigned integers.
 */
export class IdLayout {
  readonly widths: IdWidths;
  /** How many worker numbers there are. */
  readonly workers: number;
  /** How many ids one worker has in one millisecond. */
  readonly counters: number;
  /** The last millisecond of UTC that an id can hold. */
  readonly lastUtcMs: number;
  readonly #lowBits: bigint;
  readonly #lowMask: bigint;

  /** Throws INVALID_ARGUMENT for widths that do not make 63 bits or that some part cannot live with. */
  constructor(widths: IdWidths = DEFAULT_WIDTHS) {
    checkWidths(widths);
    const { timeBits, workerBits, counterBits } = widths;
    this.widths = widths;
    this.workers = 2 ** workerBits;
    this.counters = 2 ** counterBits;
    this.lastUtcMs = ID_EPOCH_MS + 2 ** timeBits - 1;
    this.#lowBits = BigInt(workerBits + counterBits);
    this.#lowMask = (1n << this.#lowBits) - 1n;
  }

  compose({ utcMs, worker, counter }: IdParts): bigint {
    const ms = utcMs - ID_EPOCH_MS;
    invariant(Number.isInteger(ms) && ms >= 0 && utcMs <= this.lastUtcMs, "an id's time lies in its range");
    invariant(Number.isInteger(worker) && worker >= 0 && worker < this.workers, "an id's worker number lies in its range");
    invariant(Number.isInteger(counter) && counter >= 0 && counter < this.counters, "an id's counter lies in its range");
    return (BigInt(ms) << this.#lowBits) | BigInt(worker * this.counters + counter);
  }

  /** The time of an id, in milliseconds of UTC; above `lastUtcMs` for what is too large to be an id. */
  utcMsOf(id: bigint): number {
    return ID_EPOCH_MS + Number(id >> this.#lowBits);
  }

  /** Throws INVALID_ARGUMENT for what cannot be an id: negative, or more than 63 bits. */
  decompose(id: bigint): IdParts {
    if (id < 0n || id >= 1n << 63n) {
      throw new MeridianError("INVALID_ARGUMENT", `${id} is not an id: ids lie between 0 and 2^63 - 1`);
    }
    const low = Number(id & this.#lowMask);
    return {
      utcMs: this.utcMsOf(id),
      worker: Math.floor(low / this.counters),
      counter: low % this.counters,
    };
  }
}

function checkWidths({ timeBits, workerBits, counterBits }: IdWidths): void {
  const whole = [timeBits, workerBits, counterBits].every(Number.isInteger);
  if (!whole || timeBits + workerBits + counterBits !== 63) {
    throw new MeridianError("INVALID_ARGUMENT", "the widths of an id's parts must be whole numbers and sum up to 63 bits");
  }
  if (timeBits < 39) throw new MeridianError("INVALID_ARGUMENT", "an id's time needs at least 39 bits: fewer end before 2041");
  if (workerBits < 1) throw new MeridianError("INVALID_ARGUMENT", "an id's worker number needs at least 1 bit");
  if (2 ** counterBits < LIMITS.idsPerCall) {
    throw new MeridianError("INVALID_ARGUMENT", `an id's counter must hold the ${LIMITS.idsPerCall} ids of one call: 12 bits`);
  }
}
