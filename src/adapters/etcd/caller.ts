import type { ChannelCredentials } from "@grpc/grpc-js";
import type { ILeaseKeepAliveResponse } from "etcd3";
import { MeridianError } from "../../kernel/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import type { CallOptions, Endpoint, UnaryCalls } from "./endpoint.ts";
import { Endpoints } from "./endpoints.ts";
import { INVALID_TOKEN } from "./failure.ts";
import { type Credentials, Login } from "./login.ts";

export interface CallerOptions {
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  readonly login: Credentials | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Milliseconds that a call may take, with the wait for a connection and the login. */
  readonly callMs: number;
  /** A key that the user may read. */
  readonly probeKey: Buffer;
}

/** Sends each call once, to one member, within its deadline; and remembers which member failed to answer. */
export class Caller {
  readonly endpoints: Endpoints;
  readonly #options: CallerOptions;
  readonly #login: Login;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.#login = new Login(options.login);
    this.endpoints = new Endpoints({ ...options, probe: (endpoint) => this.#probe(endpoint) });
  }

  /** Throws as `failureOf` says, and UNAUTHENTICATED. */
  call<M extends keyof UnaryCalls>(method: M, request: UnaryCalls[M]["request"]): Promise<UnaryCalls[M]["answer"]> {
    return this.#once((endpoint, options) => endpoint.call(method, request, options));
  }

  /** Likewise. */
  keepAlive(lease: string): Promise<ILeaseKeepAliveResponse> {
    return this.#once((endpoint, options) => endpoint.keepAlive({ ID: lease }, options));
  }

  /** The member for a new stream and the token to open it with. */
  ready(): Promise<{ readonly endpoint: Endpoint; readonly token: string | undefined }> {
    return this.#once(async (endpoint, { token }) => ({ endpoint, token }));
  }

  /** Of each member that is connected and answers: its address and its version. */
  async versions(): Promise<readonly (readonly [string, string])[]> {
    const options = { withinMs: this.#options.callMs, token: undefined };
    const answers = await Promise.allSettled(
      this.endpoints.connected.map(async (endpoint) => {
        const { version } = await endpoint.call("Maintenance.status", {}, options);
        return [endpoint.address, version] as const;
      }),
    );
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }

  /** What a failure says about the member or the token, for the calls after it. */
  learn(endpoint: Endpoint, { code, message }: MeridianError): void {
    if (message.includes(INVALID_TOKEN)) this.#login.forget();
    else if (code === "UNAVAILABLE") this.endpoints.suspect(endpoint, message);
  }

  async #once<T>(work: (endpoint: Endpoint, options: CallOptions) => Promise<T>): Promise<T> {
    const { clock, callMs } = this.#options;
    const endMs = clock.monotonicMs() + callMs;
    const endpoint = await this.endpoints.pick(callMs);
    try {
      const token = await this.#login.token(endpoint, endMs - clock.monotonicMs());
      return await work(endpoint, { withinMs: endMs - clock.monotonicMs(), token });
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      this.learn(endpoint, error);
      throw error;
    }
  }

  /** A refusal is an answer, too. */
  async #probe(endpoint: Endpoint): Promise<boolean> {
    const withinMs = this.#options.callMs;
    try {
      const token = await this.#login.token(endpoint, withinMs);
      await endpoint.call("KV.range", { key: this.#options.probeKey, count_only: true }, { withinMs, token });
      return true;
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      if (error.message.includes(INVALID_TOKEN)) this.#login.forget();
      return error.code !== "UNAVAILABLE";
    }
  }
}
