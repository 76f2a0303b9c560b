import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Clock } from "../../ports/clock.ts";
import { DelayedPipe } from "./delayed-pipe.ts";

export interface DelayProxyOptions {
  readonly clock: Clock;
  /** `host:port` to listen on; port 0 takes any free one. */
  readonly listen: string;
  /** `host:port` of the server behind it; while there is none, connections are reset. */
  readonly target: () => string | undefined;
  /** How long bytes take in each direction, in milliseconds. Connecting itself takes no time. */
  readonly oneWayMs: number;
}

/**
 * A long way in front of a server on this machine: it carries TCP connections, every byte `oneWayMs` later and in order. It
 * can be cut, which resets all connections and each new one, and restored. It needs no rights and no kernel module.
 */
export class DelayProxy {
  readonly #options: DelayProxyOptions;
  readonly #server: Server;
  readonly #connections = new Set<readonly Socket[]>();
  #cut = false;

  private constructor(options: DelayProxyOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(near));
    this.#server.maxConnections = LIMITS.proxyConnections;
  }

  /** Throws UNAVAILABLE when the address cannot be had. */
  static async listen(options: DelayProxyOptions): Promise<DelayProxy> {
    const proxy = new DelayProxy(options);
    const { host, port } = partsOf(options.listen);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", (error) => {
        const advice = "Choose another address, or end what listens there.";
        reject(
          new MeridianError("UNAVAILABLE", `cannot listen on ${options.listen}: ${error.message}`, { advice, cause: error }),
        );
      });
      proxy.#server.listen(port, host, resolve);
    });
    return proxy;
  }

  /** Where it listens, as `host:port`. */
  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `${address}:${port}`;
  }

  get connections(): number {
    return this.#connections.size;
  }

  cut(): void {
    this.#cut = true;
    for (const sockets of [...this.#connections]) for (const socket of sockets) socket.resetAndDestroy();
  }

  restore(): void {
    this.#cut = false;
  }

  /** Resets all connections and listens no more. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    return closed;
  }

  #accept(near: Socket): void {
    const { clock, oneWayMs } = this.#options;
    const target = this.#cut ? undefined : this.#options.target();
    if (target === undefined) {
      near.on("error", () => near.destroy());
      near.resetAndDestroy();
      return;
    }
    const { host, port } = partsOf(target);
    const far = connect({ host, port, allowHalfOpen: true, noDelay: true });
    new DelayedPipe(clock, oneWayMs, near, far);
    new DelayedPipe(clock, oneWayMs, far, near);
    const connection = [near, far];
    this.#connections.add(connection);
    const closed = () => {
      if (near.closed && far.closed) this.#connections.delete(connection);
    };
    near.on("close", closed);
    far.on("close", closed);
  }
}

function partsOf(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
