import { errors, types } from "cassandra-driver";
import { MeridianError } from "../../kernel/errors.ts";

/** Kinds of failed tries, as their counters name them. */
export type Failure = "timeout" | "unavailable" | "overloaded" | "unreachable" | "refused" | "other";

const CODES = types.responseErrorCodes;

const KINDS: ReadonlyMap<number, Failure> = new Map([
  [CODES.unavailableException, "unavailable"],
  [CODES.overloaded, "overloaded"],
  [CODES.isBootstrapping, "overloaded"],
  [CODES.writeTimeout, "timeout"],
  [CODES.readTimeout, "timeout"],
  [CODES.protocolError, "refused"],
  [CODES.badCredentials, "refused"],
  [CODES.syntaxError, "refused"],
  [CODES.unauthorized, "refused"],
  [CODES.invalid, "refused"],
  [CODES.configError, "refused"],
  [CODES.alreadyExists, "refused"],
]);

/** "refused" is final: the same statement gets the same answer. Everything else may be different at the next try. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof errors.NoHostAvailableError) return "unreachable";
  if (thrown instanceof errors.OperationTimedOutError) return "timeout";
  if (thrown instanceof errors.AuthenticationError) return "refused";
  // The driver's own complaints about values: ours to mend, not to repeat.
  if (thrown instanceof TypeError || thrown instanceof errors.ArgumentError) return "refused";
  if (thrown instanceof errors.ResponseError) return KINDS.get(thrown.code) ?? "other";
  return "other";
}

/** UNAVAILABLE, with what the nodes said. */
export function unavailable(what: string, thrown: unknown): MeridianError {
  const why = thrown instanceof errors.NoHostAvailableError ? innerErrors(thrown) : messageOf(thrown);
  const advice =
    failureOf(thrown) === "refused"
      ? "Cassandra refuses the statement itself: look at the user's rights, and run `meridian init` with this version."
      : "Look at Cassandra: a majority of the replicas, over all data centers, must be up and reachable.";
  return new MeridianError("UNAVAILABLE", `${what} failed: ${why}`, { advice, cause: thrown });
}

/** What the driver finds wrong with its options; while it connects, it tells of that as one more node that is not there. */
export function argumentError(thrown: unknown): Error | undefined {
  if (thrown instanceof errors.ArgumentError) return thrown;
  if (!(thrown instanceof errors.NoHostAvailableError)) return undefined;
  return Object.values(thrown.innerErrors ?? {}).find((inner) => inner instanceof errors.ArgumentError) as Error | undefined;
}

/** The driver says only "All host(s) tried for query failed"; why stands beside, one error a node. */
function innerErrors(error: errors.NoHostAvailableError): string {
  const found = Object.entries(error.innerErrors ?? {}).map(([host, inner]) => `${host}: ${messageOf(inner)}`);
  return found.length === 0 ? "no node of Cassandra is known to be up" : found.join("; ");
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
