import type { MessageInitShape } from "@bufbuild/protobuf";
import { type ErrorDetail, type ErrorDetailSchema, RetryAdvice } from "../gen/meridian/v1/types_pb.ts";
import { CODES, type Code, MeridianError, type Retry } from "./errors.ts";

const ADVICE_OF: Readonly<Record<Retry, RetryAdvice>> = {
  never: RetryAdvice.NEVER,
  backoff: RetryAdvice.BACKOFF,
  elsewhere: RetryAdvice.ELSEWHERE,
};

/** An error as it travels: everything but its cause and its stack. */
export function toErrorDetail(error: MeridianError): MessageInitShape<typeof ErrorDetailSchema> {
  return {
    code: error.code,
    message: error.message,
    retry: ADVICE_OF[error.retry],
    advice: error.advice,
    details: { ...error.details },
  };
}

/**
 * The error that the far side meant. A code that this version does not know becomes INTERNAL and stands in
 * `details.code`; whether to retry stays as the far side said.
 */
export function fromErrorDetail(detail: ErrorDetail, cause?: unknown): MeridianError {
  const known = Object.hasOwn(CODES, detail.code);
  return new MeridianError(known ? (detail.code as Code) : "INTERNAL", detail.message, {
    retry: retryOf(detail.retry),
    ...(detail.advice === "" ? {} : { advice: detail.advice }),
    details: known ? detail.details : { ...detail.details, code: detail.code },
    cause,
  });
}

function retryOf(advice: RetryAdvice): Retry {
  if (advice === RetryAdvice.BACKOFF) return "backoff";
  if (advice === RetryAdvice.ELSEWHERE) return "elsewhere";
  return "never";
}
