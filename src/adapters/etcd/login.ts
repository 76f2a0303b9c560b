import { MeridianError } from "../../kernel/errors.ts";
import type { Endpoint } from "./endpoint.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** The token that etcd gives for a password. All members know it; a member forgets it when it restarts. */
export class Login {
  readonly #credentials: Credentials | undefined;
  #token: Promise<string> | undefined;

  constructor(credentials: Credentials | undefined) {
    this.#credentials = credentials;
  }

  /** Undefined without a password. Throws UNAUTHENTICATED when it is wrong, and UNAVAILABLE. */
  async token(endpoint: Endpoint, withinMs: number): Promise<string | undefined> {
    if (this.#credentials === undefined) return undefined;
    this.#token ??= this.#authenticate(this.#credentials, endpoint, withinMs);
    try {
      return await this.#token;
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  /** The token is not valid any more; the next call takes a new one. */
  forget(): void {
    this.#token = undefined;
  }

  async #authenticate({ user, password }: Credentials, endpoint: Endpoint, withinMs: number): Promise<string> {
    try {
      const request = { name: user, password };
      return (await endpoint.call("Auth.authenticate", request, { withinMs, token: undefined })).token;
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      if (!error.message.includes("authenticat")) throw error;
      throw new MeridianError("UNAUTHENTICATED", error.message, {
        advice: "Check etcd's user and password, and that authentication is enabled there.",
        cause: error,
      });
    }
  }
}
