import type { MeridianError } from "../../kernel/errors.ts";
import type { Pipe } from "../rpc/pipe.ts";

/** Which calls are open, to break them when the server stops. */
export class OpenCalls {
  readonly #open = new Map<Pipe, "unary" | "stream">();
  readonly #none = new AbortController();
  #refusal: MeridianError | undefined;

  add(pipe: Pipe, kind: "unary" | "stream"): void {
    this.#open.set(pipe, kind);
    if (this.#refusal !== undefined) pipe.close(this.#refusal);
  }

  remove(pipe: Pipe): void {
    this.#open.delete(pipe);
    this.#look();
  }

  /** From now on a call that still comes in is refused. */
  refuse(error: MeridianError): void {
    this.#refusal = error;
    this.#look();
  }

  /** Aborted once calls are refused and the last one is over. */
  none(): AbortSignal {
    return this.#none.signal;
  }

  break(what: "streams" | "all", error: MeridianError): void {
    for (const [pipe, kind] of this.#open) if (what === "all" || kind === "stream") pipe.close(error);
  }

  #look(): void {
    if (this.#refusal !== undefined && this.#open.size === 0) this.#none.abort();
  }
}
