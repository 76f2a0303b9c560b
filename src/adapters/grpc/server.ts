import { logVerbosity, Server, ServerCredentials, setLogVerbosity } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { Health } from "../../gen/health/v1/health_pb.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { sleep } from "../../kernel/timing.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ServiceRegistration } from "../../ports/network.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { routesOf } from "../rpc/dispatch.ts";
import { bridge } from "./bridge.ts";
import { OpenCalls } from "./open-calls.ts";
import { SERVER_OPTIONS } from "./options.ts";
import { addReflection } from "./reflection.ts";

/** How long the last statuses may take on their way to clients that read. */
const FLUSH_MS = 500;

export interface GrpcServerOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly address: string;
  readonly services: readonly ServiceRegistration[];
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** A gRPC server with the standard health and reflection services. Every service is NOT_SERVING until `setServing`. */
export class GrpcServer {
  readonly address: string;
  readonly #server: Server;
  readonly #health: HealthImplementation;
  readonly #services: readonly string[];
  readonly #calls: OpenCalls;
  readonly #clock: Clock;

  private constructor(options: {
    readonly address: string;
    readonly server: Server;
    readonly health: HealthImplementation;
    readonly services: readonly string[];
    readonly calls: OpenCalls;
    readonly clock: Clock;
  }) {
    this.address = options.address;
    this.#server = options.server;
    this.#health = options.health;
    this.#services = options.services;
    this.#calls = options.calls;
    this.#clock = options.clock;
  }

  /** Throws UNAVAILABLE when the address cannot be listened on. */
  static async listen(options: GrpcServerOptions): Promise<GrpcServer> {
    const { address, clock, telemetry } = options;
    const server = new Server(SERVER_OPTIONS);
    const calls = new OpenCalls();
    for (const registration of options.services) {
      const { definition, implementation } = bridge(routesOf(registration, { timers: clock, telemetry }), calls);
      server.addService(definition, implementation);
    }
    const services = ["", ...options.services.map(({ service }) => service.typeName)];
    const health = new HealthImplementation(Object.fromEntries(services.map((service) => [service, "NOT_SERVING"])));
    health.addToServer(server);
    addReflection(server, [...options.services.map(({ service }) => service), Health]);
    const port = await bind(server, address);
    const listening = `${address.slice(0, address.lastIndexOf(":"))}:${port}`;
    return new GrpcServer({ address: listening, server, health, services, calls, clock });
  }

  /** What health checks are told, about the server as a whole and about each service. */
  setServing(serving: boolean): void {
    for (const service of this.#services) this.#health.setStatus(service, serving ? "SERVING" : "NOT_SERVING");
  }

  /**
   * Takes no more calls, breaks the streams with UNAVAILABLE, gives unary calls up to `graceMs` to end, breaks them too, and is
   * gone at most half a second later.
   */
  async close(options: { readonly graceMs: number }): Promise<void> {
    this.setServing(false);
    const drained = new AbortController();
    this.#server.tryShutdown(() => drained.abort());
    // A client of a stream that is just cut off would see CANCELLED, and take it for its own doing.
    this.#calls.refuse(stopping());
    this.#calls.break("streams", stopping());
    await sleep(this.#clock, options.graceMs, AbortSignal.any([drained.signal, this.#calls.none()]));
    this.#calls.break("all", stopping());
    await sleep(this.#clock, FLUSH_MS, drained.signal);
    this.#server.forceShutdown();
  }
}

function stopping(): MeridianError {
  return new MeridianError("UNAVAILABLE", "the server stops", { retry: "elsewhere", advice: "Go on with another node." });
}

function bind(server: Server, address: string): Promise<number> {
  // grpc-js writes to stderr what it also answers here.
  setLogVerbosity(logVerbosity.NONE);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) {
        resolve(port);
        return;
      }
      reject(
        new MeridianError("UNAVAILABLE", `cannot listen on ${address}`, {
          retry: "never",
          advice: `Check that the address is one of this machine and that no other process listens on it: ${error.message}`,
          details: { address },
          cause: error,
        }),
      );
    });
  });
}
