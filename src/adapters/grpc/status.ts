import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { ErrorDetailSchema } from "../../gen/meridian/v1/types_pb.ts";
import { fromErrorDetail, toErrorDetail } from "../../kernel/error-wire.ts";
import { CODES, type Code, type ErrorOptions, MeridianError } from "../../kernel/errors.ts";

const TRAILER = "meridian-error-bin";

/** HTTP/2 peers take 8 KiB of headers, and the text goes twice: once for everybody, once in our trailer. */
const TEXT_LENGTH_MAX = 1_000;

/** Our error as gRPC sends it: the status that any client understands, and the whole of it in a trailer. */
export function toStatus(error: MeridianError): Pick<StatusObject, "code" | "details" | "metadata"> {
  // A lone surrogate, from a cut or a careless sender, cannot be encoded.
  const text = error.message.slice(0, TEXT_LENGTH_MAX).toWellFormed();
  const detail = create(ErrorDetailSchema, { ...toErrorDetail(error), message: text });
  const metadata = new Metadata();
  metadata.set(TRAILER, Buffer.from(toBinary(ErrorDetailSchema, detail)));
  return { code: CODES[error.code].grpc, details: `[${error.code}] ${text}`, metadata };
}

/** What a failed call means: what the far side says in its trailer, else the code nearest to the status. */
export function fromStatus(failure: Pick<StatusObject, "code" | "details" | "metadata">): MeridianError {
  const [bytes] = failure.metadata.get(TRAILER);
  if (bytes instanceof Buffer) {
    try {
      return fromErrorDetail(fromBinary(ErrorDetailSchema, bytes), failure);
    } catch {
      // Not our trailer after all: the status is what we know.
    }
  }
  const nearest = nearestCode(failure);
  return new MeridianError(nearest.code, failure.details, { ...nearest.options, cause: failure });
}

function nearestCode({ code, details }: Pick<StatusObject, "code" | "details">): { code: Code; options?: ErrorOptions } {
  switch (code) {
    case status.RESOURCE_EXHAUSTED:
      // gRPC has one status for "too large" and "too many"; its own words for the former are "larger than".
      return { code: details.includes("larger than") ? "TOO_LARGE" : "OVERLOADED" };
    case status.NOT_FOUND:
      return { code: "NOT_FOUND" };
    case status.UNAUTHENTICATED:
      return { code: "UNAUTHENTICATED" };
    case status.PERMISSION_DENIED:
      return { code: "PERMISSION_DENIED" };
    case status.DATA_LOSS:
      return { code: "CORRUPT" };
    case status.UNIMPLEMENTED:
      return {
        code: "INVALID_ARGUMENT",
        options: { advice: "The far side does not know this call: check the address and the port, and both versions." },
      };
    case status.INVALID_ARGUMENT:
    case status.FAILED_PRECONDITION:
    case status.OUT_OF_RANGE:
    case status.ALREADY_EXISTS:
      return { code: "INVALID_ARGUMENT" };
    default:
      // Nodes explain their own failures in the trailer. Without one the way broke, whatever name gRPC has for that: a reset
      // is INTERNAL, a forced shutdown CANCELLED.
      return { code: "UNAVAILABLE" };
  }
}
