import { errors, policies, types } from "cassandra-driver";
import type { Telemetry } from "../../ports/telemetry.ts";
import { type Failure, failureOf } from "./failures.ts";
import type { Suspects } from "./suspects.ts";

/** Whatever fails at one node is tried at the next of the plan, never at the same one: it has just shown that it cannot. */
export class NextNode extends policies.retry.RetryPolicy {
  readonly #suspects: Suspects;
  readonly #telemetry: Telemetry;

  constructor(suspects: Suspects, telemetry: Telemetry) {
    super();
    this.#suspects = suspects;
    this.#telemetry = telemetry;
  }

  /** Asked for idempotent statements only, like all but `onUnavailable` and `onReadTimeout`. */
  override onRequestError(info: policies.retry.OperationInfo, consistency: types.consistencies, error: Error) {
    const { host } = error as { readonly host?: string };
    if (error instanceof errors.OperationTimedOutError && host !== undefined) {
      const reach = consistency === types.consistencies.localQuorum ? "local" : "global";
      this.#suspects.passed(host, reach, info.executionOptions.getReadTimeout());
    }
    return this.#next(failureOf(error));
  }

  override onUnavailable() {
    return this.#next("unavailable");
  }

  override onReadTimeout() {
    return this.#next("timeout");
  }

  override onWriteTimeout() {
    return this.#next("timeout");
  }

  #next(failure: Failure) {
    this.#telemetry.count(`cassandra.failures.${failure}`);
    return this.retryResult(undefined as unknown as types.consistencies, false);
  }
}
