import type { MeridianError } from "../kernel/errors.ts";
import type { Message } from "./messages.ts";

/**
 * Where the client's connection is. `choosing`: it asks all endpoints, to connect to the nearest one that serves. `ready` tells
 * the smoothed round trip if it is measured: it is with several endpoints. `waiting`: the next try begins after `retryInMs`; 0 if
 * there is another node to try. `closed` is final.
 */
export type ConnectionState =
  | { readonly status: "choosing" }
  | { readonly status: "connecting"; readonly endpoint: string }
  | {
      readonly status: "ready";
      readonly endpoint: string;
      readonly node: string;
      readonly region: string;
      readonly rttMs: number | undefined;
    }
  | { readonly status: "waiting"; readonly retryInMs: number; readonly error: MeridianError }
  | { readonly status: "closed" };

/** Something went wrong that no call could report. `conversation` is absent if it concerns the client as a whole. */
export interface Fault {
  readonly what: string;
  readonly error: MeridianError;
  readonly conversation?: string;
}

/** A message whose handler failed at every try. The subscription has gone on without it. */
export interface DeadLetter {
  readonly message: Message;
  readonly error: MeridianError;
}

/** The client's events and what their listeners get. */
export interface ClientEvents {
  /** The connection changed its state. */
  readonly state: ConnectionState;
  /** Something went wrong that no call could report: a doubtful batch, a cursor that could not be saved, a lost subscription. */
  readonly fault: Fault;
  /** A handler failed at every try. */
  readonly deadLetter: DeadLetter;
}

type Listener<T> = (event: T) => void;
type Listeners = { readonly [E in keyof ClientEvents]: Set<Listener<ClientEvents[E]>> };

/** Hands events to their listeners. */
export class Events {
  readonly #listeners: Listeners = { state: new Set(), fault: new Set(), deadLetter: new Set() };
  readonly #unheard: (fault: Fault) => void;

  /** `unheard` gets the faults and dead letters for which nobody listens: they must not vanish. */
  constructor(unheard: (fault: Fault) => void) {
    this.#unheard = unheard;
  }

  /** Calls `listener` at every event of this name; the answer removes it again. */
  on<E extends keyof ClientEvents>(name: E, listener: Listener<ClientEvents[E]>): () => void {
    const listeners: Set<Listener<ClientEvents[E]>> = this.#listeners[name];
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  state(state: ConnectionState): void {
    this.#emit(this.#listeners.state, state);
  }

  fault(fault: Fault): void {
    if (!this.#emit(this.#listeners.fault, fault)) this.#unheard(fault);
  }

  deadLetter(letter: DeadLetter): void {
    if (this.#emit(this.#listeners.deadLetter, letter)) return;
    const { conversation, seq } = letter.message;
    this.#unheard({ what: `message ${seq} was given up: its handler failed at every try`, error: letter.error, conversation });
  }

  /** A listener's own failure must neither break the client nor vanish: it becomes an uncaught error, as in an EventTarget. */
  #emit<T>(listeners: ReadonlySet<Listener<T>>, event: T): boolean {
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    return listeners.size > 0;
  }
}
