import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ErrorDetailSchema, RetryAdvice } from "../../../src/gen/meridian/v1/types_pb.ts";
import { fromErrorDetail, toErrorDetail } from "../../../src/kernel/error-wire.ts";
import { CODES, type Code, MeridianError } from "../../../src/kernel/errors.ts";

function overTheWire(error: MeridianError): MeridianError {
  const bytes = toBinary(ErrorDetailSchema, create(ErrorDetailSchema, toErrorDetail(error)));
  return fromErrorDetail(fromBinary(ErrorDetailSchema, bytes));
}

describe("an error on the wire", () => {
  it.each(Object.keys(CODES) as Code[])("keeps everything but its cause: %s", (code) => {
    const error = new MeridianError(code, "what happened", { details: { wanted: "7" }, cause: new Error("secret") });

    const got = overTheWire(error);

    expect({ ...got, message: got.message }).toEqual({ ...error, message: "what happened" });
    expect(got.cause).toBeUndefined();
  });

  it.each(["never", "backoff", "elsewhere"] as const)("keeps a retry and an advice that differ from the code's: %s", (retry) => {
    const got = overTheWire(new MeridianError("INTERNAL", "", { retry, advice: "Do this." }));

    expect(got).toMatchObject({ retry, advice: "Do this." });
  });

  it("of a code that a later version adds becomes INTERNAL, and says when to try again", () => {
    const got = fromErrorDetail(
      create(ErrorDetailSchema, { code: "QUOTA_USED_UP", message: "no more", retry: RetryAdvice.BACKOFF }),
    );

    expect(got).toMatchObject({ code: "INTERNAL", message: "no more", retry: "backoff", details: { code: "QUOTA_USED_UP" } });
    expect(fromErrorDetail(create(ErrorDetailSchema, { code: "toString" })).code).toBe("INTERNAL");
  });

  it("without a retry advice is not tried again", () => {
    expect(fromErrorDetail(create(ErrorDetailSchema, { code: "UNAVAILABLE" })).retry).toBe("never");
  });
});
