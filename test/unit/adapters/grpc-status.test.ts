import { Metadata, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { fromStatus, toStatus } from "../../../src/adapters/grpc/status.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";

function plain(code: number, details = "") {
  return { code, details, metadata: new Metadata() };
}

describe("errors over gRPC", () => {
  it("carry the code's status for everybody and the whole error for us", () => {
    const sent = toStatus(new MeridianError("COUNTER_GAP", "send 7 first", { details: { wanted: "7" } }));

    expect(sent).toMatchObject({ code: status.FAILED_PRECONDITION, details: "[COUNTER_GAP] send 7 first" });
    expect(fromStatus(sent)).toMatchObject({
      code: "COUNTER_GAP",
      message: "send 7 first",
      details: { wanted: "7" },
      cause: sent,
    });
  });

  it("fit into HTTP/2 headers whatever their text is", () => {
    const sent = toStatus(new MeridianError("INVALID_ARGUMENT", `\ud800${"ä\n".repeat(5_000)}`));

    expect(sent.details.length).toBeLessThan(1_100);
    expect(encodeURI(sent.details)).toContain("%0A");
    expect(fromStatus(sent).message.length).toBe(1_000);
  });

  it.each([
    [status.UNAVAILABLE, "", "UNAVAILABLE"],
    [status.CANCELLED, "", "UNAVAILABLE"],
    [status.DEADLINE_EXCEEDED, "", "UNAVAILABLE"],
    [status.INTERNAL, "Received RST_STREAM with code 2", "UNAVAILABLE"],
    [status.UNKNOWN, "", "UNAVAILABLE"],
    [status.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)", "TOO_LARGE"],
    [status.RESOURCE_EXHAUSTED, "Bandwidth exhausted", "OVERLOADED"],
    [status.UNIMPLEMENTED, "no such method", "INVALID_ARGUMENT"],
    [status.INVALID_ARGUMENT, "", "INVALID_ARGUMENT"],
    [status.NOT_FOUND, "", "NOT_FOUND"],
    [status.UNAUTHENTICATED, "", "UNAUTHENTICATED"],
    [status.PERMISSION_DENIED, "", "PERMISSION_DENIED"],
    [status.DATA_LOSS, "", "CORRUPT"],
  ])("from others are mapped by their status: %d %s → %s", (code, details, ours) => {
    const failure = plain(code, details);

    expect(fromStatus(failure)).toMatchObject({ code: ours, message: details, cause: failure });
  });

  it("with a trailer that is not ours are mapped by their status", () => {
    const failure = plain(status.NOT_FOUND, "gone");
    failure.metadata.set("meridian-error-bin", Buffer.from([0xff, 0xff, 0xff]));

    expect(fromStatus(failure)).toMatchObject({ code: "NOT_FOUND", message: "gone" });
  });
});
