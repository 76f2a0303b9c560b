import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A relay on the loopback before a server, so that a test can cut the connections while both processes live. */
export class TcpRelay {
  readonly address: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #farEnds: Map<Socket, Socket>;

  private constructor(server: Server, sockets: Set<Socket>, farEnds: Map<Socket, Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.#farEnds = farEnds;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static listen(target: string, port: number): Promise<TcpRelay> {
    const sockets = new Set<Socket>();
    const farEnds = new Map<Socket, Socket>();
    const server = createServer((near) => {
      const far = connect(Number(target.slice(target.lastIndexOf(":") + 1)), "127.0.0.1");
      farEnds.set(far, near);
      far.on("close", () => farEnds.delete(far));
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(from);
        from.pipe(to);
        // An error closes the socket, and a closed socket takes its partner along.
        from.on("error", () => {});
        from.on("close", () => {
          sockets.delete(from);
          to.destroy();
        });
      }
    });
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => resolve(new TcpRelay(server, sockets, farEnds)));
    });
  }

  /** From now on requests reach the server, and its answers wait here until they are released. */
  holdAnswers(): void {
    for (const [far, near] of this.#farEnds) far.unpipe(near);
  }

  releaseAnswers(): void {
    for (const [far, near] of this.#farEnds) far.pipe(near);
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.reset();
    return closed;
  }
}
