import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { MeridianError } from "../../kernel/errors.ts";

export interface HealthServerOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly address: string;
  /** Why this process must be given no work now; empty if it may. */
  readonly reasons: () => readonly string[];
}

/**
 * `/healthz`: the process lives. `/readyz`: 200 while it may be given work, else 503 with the reasons. For those who ask by
 * HTTP; gRPC's own health service says the same.
 */
export class HealthServer {
  readonly address: string;
  readonly #server: Server;

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  /** Throws UNAVAILABLE when the address cannot be listened on. */
  static async listen({ address, reasons }: HealthServerOptions): Promise<HealthServer> {
    const server = createServer((request, response) => answer(request, response, reasons));
    const at = address.lastIndexOf(":");
    const host = address.slice(0, at);
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(taken(address, error)));
      server.listen({ host: host.replace(/^\[|\]$/g, ""), port: Number(address.slice(at + 1)) }, resolve);
    });
    return new HealthServer(server, `${host}:${(server.address() as AddressInfo).port}`);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function answer({ method, url }: IncomingMessage, response: ServerResponse, reasons: () => readonly string[]): void {
  const tell = (status: number, body: object) => {
    response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(method === "HEAD" ? undefined : `${JSON.stringify(body)}\n`);
  };
  if (method !== "GET" && method !== "HEAD") return tell(405, { error: "ask by GET" });
  switch (url?.split("?")[0]) {
    case "/healthz":
      return tell(200, { live: true });
    case "/readyz": {
      const found = reasons();
      return tell(found.length === 0 ? 200 : 503, { ready: found.length === 0, reasons: found });
    }
    default:
      return tell(404, { error: "there are /healthz and /readyz" });
  }
}

function taken(address: string, cause: Error): MeridianError {
  return new MeridianError("UNAVAILABLE", `cannot listen on ${address}`, {
    retry: "never",
    advice: `Check that the address is one of this machine and that no other process listens on it: ${cause.message}`,
    details: { address },
    cause,
  });
}
