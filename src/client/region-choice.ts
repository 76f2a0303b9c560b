import { MeridianError } from "../kernel/errors.ts";

/** Which node to connect to: the endpoints in the order given, the next one after each failure, round and round. */
export class RegionChoice {
  readonly #endpoints: readonly string[];
  #at = 0;

  /** `host:port` each, the preferred one first. Throws INVALID_ARGUMENT. */
  constructor(endpoints: readonly string[]) {
    if (endpoints.length === 0) throw new MeridianError("INVALID_ARGUMENT", "give at least one endpoint, such as 127.0.0.1:7401");
    for (const endpoint of endpoints) {
      if (!/^.+:\d{1,5}$/.test(endpoint)) {
        throw new MeridianError("INVALID_ARGUMENT", `an endpoint is host:port, not ${JSON.stringify(endpoint)}`);
      }
    }
    this.#endpoints = [...new Set(endpoints)];
  }

  get endpoint(): string {
    return this.#endpoints[this.#at] as string;
  }

  failed(): void {
    this.#at = (this.#at + 1) % this.#endpoints.length;
  }
}
