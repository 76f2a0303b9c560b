import type { DescMethod } from "@bufbuild/protobuf";
import { PipeChannel } from "../src/adapters/rpc/channel.ts";
import { pathOf, type Route, routesOf } from "../src/adapters/rpc/dispatch.ts";
import { ConsoleTelemetry } from "../src/adapters/system/telemetry.ts";
import { invariant, MeridianError } from "../src/kernel/errors.ts";
import type { Clock } from "../src/ports/clock.ts";
import type { Network, ServiceRegistration } from "../src/ports/network.ts";
import type { Telemetry } from "../src/ports/telemetry.ts";
import { type Enter, MemoryCall } from "./call.ts";

export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** One way, in milliseconds, between two places; default 0. The place of an address is its part before the port. */
  readonly latencyMs?: (from: string, to: string) => number;
  /** Whether frames pass from one place to another, beside `cut`. Call `refresh` when an answer has changed. */
  readonly open?: (from: string, to: string) => boolean;
  /** Where bugs of handlers are reported; default: errors on stderr. */
  readonly telemetry?: Telemetry;
}

/** How long the ends of a call hear nothing before they give it up: gRPC's keep-alive time and its time-out. */
const SILENCE_MS = 15_000;

const ENTER: Enter = (action) => action();

interface MemoryServer {
  readonly enter: Enter;
  readonly routes: ReadonlyMap<string, Route>;
}

/**
 * A network in memory, on the clock that it is given. It delivers in order and after the latency; frames are encoded and
 * decoded, so that nothing is shared. A cut link behaves as TCP does: what is under way waits, arrives when the link heals
 * in time, and else both ends learn of the break after 15 s of silence.
 */
export class MemoryNetwork {
  readonly #clock: Clock;
  readonly #latencyMs: (from: string, to: string) => number;
  readonly #isOpen: (from: string, to: string) => boolean;
  readonly #telemetry: Telemetry;
  readonly #servers = new Map<string, MemoryServer>();
  readonly #calls = new Set<MemoryCall>();
  readonly #cuts = new Set<string>();

  constructor(options: MemoryNetworkOptions) {
    this.#clock = options.clock;
    this.#latencyMs = options.latencyMs ?? (() => 0);
    this.#isOpen = options.open ?? (() => true);
    this.#telemetry = options.telemetry ?? new ConsoleTelemetry({ level: "error" });
  }

  /** `close` stops listening and breaks the server's calls, as the end of its process would. */
  serve(
    address: string,
    services: readonly ServiceRegistration[],
    process: { readonly enter: Enter; readonly timers: Clock } = { enter: ENTER, timers: this.#clock },
  ): { close(): void } {
    invariant(!this.#servers.has(address), `${address} is served already`);
    const environment = { timers: process.timers, telemetry: this.#telemetry };
    const routes = services.flatMap((service) => routesOf(service, environment));
    const server = { enter: process.enter, routes: new Map(routes.map((route) => [route.path, route])) };
    this.#servers.set(address, server);
    return {
      close: () => {
        if (this.#servers.get(address) !== server) return;
        this.#servers.delete(address);
        this.breakStreams(address);
      },
    };
  }

  /** The network as it is seen from a place: a name such as the host part of a server's address. */
  from(place: string, enter: Enter = ENTER): Network {
    return { channel: (address) => this.#channel(place, enter, address) };
  }

  /** Nothing passes between two places any more, in either direction. */
  cut(a: string, b: string): void {
    this.#cuts.add(linkOf(a, b));
    this.refresh();
  }

  heal(a: string, b: string): void {
    this.#cuts.delete(linkOf(a, b));
    this.refresh();
  }

  /** Looks again at which calls' frames pass. */
  refresh(): void {
    for (const call of this.#calls) this.#passOrNot(call);
  }

  /** The place's connections are gone, but those at their other ends do not know. */
  halfBreakStreams(place: string): void {
    for (const call of this.#calls) {
      if (call.from === place) call.halfBreak("caller");
      else if (placeOf(call.to) === place) call.halfBreak("handler");
    }
  }

  /** Breaks all calls from and to an address or a place now, as reset connections would. New ones work. */
  breakStreams(addressOrPlace: string): void {
    for (const call of this.#calls) {
      const ends = [call.from, call.to, placeOf(call.to)];
      if (ends.includes(addressOrPlace)) call.break(new MeridianError("UNAVAILABLE", `the connection to ${call.to} was reset`));
    }
  }

  #passes(from: string, to: string): boolean {
    return !this.#cuts.has(linkOf(from, to)) && this.#isOpen(from, to);
  }

  #passOrNot(call: MemoryCall): void {
    const to = placeOf(call.to);
    call.pass(this.#passes(call.from, to), this.#passes(to, call.from));
  }

  #channel(from: string, enter: Enter, to: string): PipeChannel {
    return new PipeChannel({
      address: to,
      open: (method, options) => this.#open(from, enter, to, method, options),
      onClose: () => {},
    });
  }

  #open(
    from: string,
    enter: Enter,
    to: string,
    method: DescMethod,
    options: { readonly deadlineMs?: number; readonly onOver: () => void },
  ) {
    const there = placeOf(to);
    const call = new MemoryCall({
      clock: this.#clock,
      from,
      to,
      latencyMs: { there: () => this.#latencyMs(from, there), back: () => this.#latencyMs(there, from) },
      enter,
      silenceMs: SILENCE_MS,
      accept: () => this.#route(to, method),
      onCallerOver: options.onOver,
      onOver: () => this.#calls.delete(call),
    });
    this.#calls.add(call);
    this.#passOrNot(call);
    if (options.deadlineMs !== undefined) call.deadline(options.deadlineMs, method.name);
    return call.caller;
  }

  #route(to: string, method: DescMethod): { readonly route: Route; readonly enter: Enter } {
    const server = this.#servers.get(to);
    if (server === undefined) throw new MeridianError("UNAVAILABLE", `nobody listens at ${to}`);
    const route = server.routes.get(pathOf(method));
    if (route === undefined) throw new MeridianError("INVALID_ARGUMENT", `${to} does not serve ${pathOf(method)}`);
    return { route, enter: server.enter };
  }
}

function placeOf(address: string): string {
  const colon = address.lastIndexOf(":");
  return colon < 0 ? address : address.slice(0, colon);
}

function linkOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
