import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Route } from "../src/adapters/rpc/dispatch.ts";
import { Pipe, type Wire } from "../src/adapters/rpc/pipe.ts";
import { ErrorDetailSchema } from "../src/gen/meridian/v1/types_pb.ts";
import { fromErrorDetail, toErrorDetail } from "../src/kernel/error-wire.ts";
import { MeridianError } from "../src/kernel/errors.ts";
import type { Clock } from "../src/ports/clock.ts";

export interface MemoryCallOptions {
  readonly clock: Clock;
  readonly from: string;
  readonly to: string;
  /** One way, in milliseconds; asked for each frame, which does not overtake the one before. */
  readonly latencyMs: { readonly there: () => number; readonly back: () => number };
  readonly silenceMs: number;
  /** The caller's process: what comes to it passes this. */
  readonly enter: Enter;
  /** Called when the call reaches the far side; throws what the caller shall learn. */
  readonly accept: () => { readonly route: Route; readonly enter: Enter };
  readonly onCallerOver: () => void;
  /** Both ends are over. */
  readonly onOver: () => void;
}

/** Runs an action in a process: now, later, or never. */
export type Enter = (action: () => void) => void;

/** One call in memory: the caller's pipe, the handler's pipe, and a line each way. */
export class MemoryCall {
  readonly from: string;
  readonly to: string;
  readonly caller: Pipe;
  readonly #options: MemoryCallOptions;
  readonly #there: Line;
  readonly #back: Line;
  readonly #abort = new AbortController();
  #handler: Pipe | undefined;
  /** The handler's process, once there is one. */
  #enterHandler: Enter = (action) => action();
  #callerOver = false;
  #handlerOver = false;
  #forgetDeadline = () => {};
  #forgetSilence: (() => void) | undefined;

  constructor(options: MemoryCallOptions) {
    this.#options = options;
    this.from = options.from;
    this.to = options.to;
    this.#there = new Line(options.clock, options.latencyMs.there);
    this.#back = new Line(options.clock, options.latencyMs.back);
    this.caller = new Pipe("caller", this.#callerWire(), () => {
      this.#callerOver = true;
      this.#forgetDeadline();
      options.onCallerOver();
      this.#maybeOver();
    });
    this.#there.send(() => this.#accept());
  }

  deadline(delayMs: number, what: string): void {
    this.#forgetDeadline = this.#options.clock.after(delayMs, () =>
      this.#options.enter(() =>
        this.caller.close(new MeridianError("UNAVAILABLE", `${what} had no answer within ${delayMs} ms`)),
      ),
    );
  }

  /**
   * Which directions let frames pass. While one does not, what is under way waits; if it goes on so, both ends give the call
   * up in the end.
   */
  pass(there: boolean, back: boolean): void {
    this.#there.pass(there);
    this.#back.pass(back);
    if (there && back) {
      this.#forgetSilence?.();
      this.#forgetSilence = undefined;
      return;
    }
    this.#forgetSilence ??= this.#options.clock.after(this.#options.silenceMs, () => this.break(this.#silent()));
  }

  /** One end is gone, or has given the call up, and the other does not learn of it until it has heard nothing for long. */
  halfBreak(gone: "caller" | "handler"): void {
    this.#there.drop();
    this.#back.drop();
    const error = new MeridianError("UNAVAILABLE", `the connection to ${this.to} is gone`);
    if (gone === "caller") this.#breakCaller(error);
    else this.#breakHandler(error);
    this.#forgetSilence?.();
    this.#forgetSilence = this.#options.clock.after(this.#options.silenceMs, () => this.break(this.#silent()));
  }

  /** Both ends learn at once that the connection is gone; what is under way is lost. */
  break(error: MeridianError): void {
    this.#there.drop();
    this.#back.drop();
    this.#breakCaller(error);
    this.#breakHandler(error);
    this.#maybeOver();
  }

  #breakCaller(error: MeridianError): void {
    this.#options.enter(() => this.caller.broke(error));
  }

  #breakHandler(error: MeridianError): void {
    const handler = this.#handler;
    if (handler === undefined) this.#handlerOver = true;
    else this.#enterHandler(() => handler.broke(error));
  }

  #silent(): MeridianError {
    return new MeridianError("UNAVAILABLE", `nothing was heard from ${this.to} for ${this.#options.silenceMs} ms`);
  }

  #accept(): void {
    try {
      const { route, enter } = this.#options.accept();
      this.#enterHandler = enter;
      enter(() => this.#serve(route));
    } catch (error) {
      this.#handlerOver = true;
      this.#sendError(MeridianError.from(error));
    }
  }

  #serve(route: Route): void {
    // It broke while the process was stopped: nobody is there to be served.
    if (this.#handlerOver) return;
    const handler = new Pipe("handler", this.#handlerWire(), (error) => {
      this.#handlerOver = true;
      if (error !== undefined) this.#abort.abort(error);
      this.#maybeOver();
    });
    this.#handler = handler;
    // `serve` never throws: the handler's failure goes to the caller.
    void route.serve(handler, { signal: this.#abort.signal, peer: this.from });
  }

  #callerWire(): Wire {
    return {
      send: (frame) => this.#toHandler(() => this.#deliver(this.#handler, this.caller, frame)),
      end: () => this.#toHandler(() => this.#handler?.halfClosed()),
      abort: () => this.#toHandler(() => this.#handler?.broke(new MeridianError("UNAVAILABLE", "the caller has gone"))),
      taken: (bytes) => this.#enterHandler(() => this.#handler?.left(bytes)),
    };
  }

  #handlerWire(): Wire {
    return {
      send: (frame) => this.#toCaller(() => this.#deliver(this.caller, this.#handler, frame)),
      end: () => this.#toCaller(() => this.caller.finished()),
      abort: (error) => this.#sendError(error),
      taken: (bytes) => this.#options.enter(() => this.caller.left(bytes)),
    };
  }

  #toHandler(action: () => void): void {
    this.#there.send(() => this.#enterHandler(action));
  }

  #toCaller(action: () => void): void {
    this.#back.send(() => this.#options.enter(action));
  }

  /** A frame weighs on its writer until its reader takes it, as the windows of HTTP/2 make it. */
  #deliver(to: Pipe | undefined, from: Pipe | undefined, frame: Uint8Array): void {
    if (to === undefined) from?.left(frame.length);
    else to.arrived(frame.slice());
  }

  #sendError(error: MeridianError): void {
    const bytes = toBinary(ErrorDetailSchema, create(ErrorDetailSchema, toErrorDetail(error)));
    this.#toCaller(() => this.caller.broke(fromErrorDetail(fromBinary(ErrorDetailSchema, bytes))));
  }

  #maybeOver(): void {
    if (!this.#callerOver || !this.#handlerOver) return;
    this.#forgetSilence?.();
    this.#options.onOver();
  }
}

/** One direction: what is sent happens after the latency, in order; while the line is held it waits. */
class Line {
  readonly #clock: Clock;
  readonly #latencyMs: () => number;
  readonly #underWay: (() => void)[] = [];
  #due = 0;
  #held = false;

  constructor(clock: Clock, latencyMs: () => number) {
    this.#clock = clock;
    this.#latencyMs = latencyMs;
  }

  send(action: () => void): void {
    this.#underWay.push(action);
    this.#clock.after(this.#latencyMs(), () => {
      this.#due += 1;
      if (!this.#held) this.#flush();
    });
  }

  pass(isOpen: boolean): void {
    this.#held = !isOpen;
    if (isOpen) this.#flush();
  }

  /** What is under way never arrives. */
  drop(): void {
    this.#underWay.fill(() => {});
  }

  /** Timers only say how many have arrived: the order is that of sending, whatever a rounded time would make of it. */
  #flush(): void {
    for (; this.#due > 0; this.#due -= 1) this.#underWay.shift()?.();
  }
}
