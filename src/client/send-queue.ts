import { LIMITS } from "../kernel/limits.ts";
import type { PendingSend } from "./pending-send.ts";

/** How much a client holds that is not on the wire yet, over all producers: bounded, or an offline client would fill its memory. */
export class SendQueue {
  #messages = 0;
  #bytes = 0;

  /** False: there is no room, and the send was not counted. */
  join(send: PendingSend): boolean {
    const bytes = this.#bytes + send.payload.length;
    if (this.#messages >= LIMITS.clientQueueMessages || bytes > LIMITS.clientQueueBytes) return false;
    this.#messages += 1;
    this.#bytes = bytes;
    return true;
  }

  leave(send: PendingSend): void {
    this.#messages -= 1;
    this.#bytes -= send.payload.length;
  }
}
