import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * open: everything passes. held: bytes wait where they are, as over a way that was cut and is mended later; connections stay
 * as they are. answers-held: questions arrive and their answers do not, a way that is cut in one direction. cut: connections
 * are reset, and new ones too.
 */
export type GateState = "open" | "held" | "answers-held" | "cut";

interface Passage {
  readonly near: Socket;
  readonly far: Socket;
}

/** A door in front of a server on this machine that can be shut in several ways, for whoever is told of the door only. */
export class Gate {
  readonly #server: Server;
  /** What is behind it, as `host:port`. */
  readonly target: string;
  readonly #passages = new Set<Passage>();
  #state: GateState = "open";

  private constructor(address: string) {
    this.target = address;
    const colon = address.lastIndexOf(":");
    const target = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      if (this.#state === "cut") near.resetAndDestroy();
      else this.#pass(near, connect({ ...target, allowHalfOpen: true, noDelay: true }));
    });
  }

  /** `target` is `host:port`. */
  static async open(target: string): Promise<Gate> {
    const gate = new Gate(target);
    await new Promise<void>((resolve, reject) => {
      gate.#server.once("error", reject);
      gate.#server.listen(0, "127.0.0.1", resolve);
    });
    return gate;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How much has come in by the connections that there are. */
  get bytes(): number {
    return [...this.#passages].reduce((sum, { near }) => sum + near.bytesRead, 0);
  }

  shut(state: GateState): void {
    this.#state = state;
    for (const passage of this.#passages) this.#apply(passage);
  }

  close(): void {
    this.shut("cut");
    this.#server.close();
  }

  #pass(near: Socket, far: Socket): void {
    const passage = { near, far };
    this.#passages.add(passage);
    const end = () => {
      this.#passages.delete(passage);
      near.destroy();
      far.destroy();
    };
    // Either side's reset is the other's; which error it was is of no account to a way.
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    near.pipe(far);
    far.pipe(near);
    this.#apply(passage);
  }

  #apply({ near, far }: Passage): void {
    if (this.#state === "cut") {
      near.resetAndDestroy();
      far.resetAndDestroy();
      return;
    }
    // Without a pipe a socket is not read, so the sender's window fills and nothing is lost.
    near.unpipe(far);
    far.unpipe(near);
    if (this.#state === "held") near.pause();
    else near.pipe(far);
    if (this.#state === "open") far.pipe(near);
    else far.pause();
  }
}
