import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { MeridianService, type SendRequestSchema } from "../../../src/gen/meridian/v1/client_pb.ts";
import { PayloadSchema } from "../../../src/gen/meridian/v1/types_pb.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { CONVERSATION } from "../../support/chains.ts";
import { gatewayOf } from "../../support/gateway.ts";

const encoder = new TextEncoder();

function setUp() {
  const gateway = gatewayOf();
  const send = (request: MessageInitShape<typeof SendRequestSchema> = {}) => {
    const whole = { conversation: CONVERSATION, sender: "ada", body: encoder.encode("hi"), ...request };
    return gateway.clock.until(gateway.channel.unary(MeridianService.method.send, whole, { deadlineMs: 60_000 }));
  };
  return { ...gateway, send };
}

describe("Send", () => {
  it("gives the leader one message without a producer, and answers with its place", async () => {
    const { leaders, send } = setUp();
    const key = encoder.encode("key");
    expect(await send({ key, base: 4n, aboveId: 9n, type: "text/plain", sentAtMs: 5n, traceparent: "00-a" })).toMatchObject({
      seq: 1n,
      id: 1_000n,
    });
    const [run] = leaders.runs;
    expect(run).toMatchObject({ producer: 0n, sender: "ada", firstCounter: 0, aboveId: 9n, base: 4 });
    expect(run?.items).toMatchObject([{ skip: false }]);
    expect(Buffer.from(run?.items[0]?.key ?? [])).toEqual(Buffer.from(key));
    const payload = fromBinary(PayloadSchema, run?.items[0]?.payload ?? new Uint8Array());
    expect(payload).toMatchObject({ type: "text/plain", sentAtMs: 5n, traceparent: "00-a" });
  });

  it("makes the same content of the same request, at any time, so that its key can recognise it [G3]", async () => {
    const { clock, leaders, send } = setUp();
    await send({ key: encoder.encode("key") });
    await clock.advance(5_000);
    await send({ key: encoder.encode("key") });
    const [first, second] = leaders.runs.map((run) => Buffer.from(run.items[0]?.payload ?? []).toString("hex"));
    expect(second).toBe(first);
  });

  it("throws what the leader refuses it with, and UNAVAILABLE when it does not answer [G6, G9]", async () => {
    const { clock, leaders, send } = setUp();
    const error = new MeridianError("KEY_CONFLICT", "another content", { details: { seq: "5" } });
    leaders.submit = async () => [{ kind: "refused", error }];
    await expect(send()).rejects.toMatchObject({ code: "KEY_CONFLICT", details: { seq: "5" } });
    leaders.submit = () => new Promise(() => {});
    const before = clock.monotonicMs();
    await expect(send()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(clock.monotonicMs() - before).toBe(LIMITS.callDeadlineMs);
  });

  it("refuses what breaks a limit before anybody else sees it", async () => {
    const { leaders, send } = setUp();
    for (const request of [{ conversation: "" }, { sender: "" }, { base: 3n }, { key: encoder.encode("k"), base: 1n << 60n }]) {
      await expect(send(request)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
    const large = send({ body: new Uint8Array(LIMITS.bodyBytes + 1) });
    await expect(large).rejects.toMatchObject({ code: "TOO_LARGE", details: { limit: String(LIMITS.bodyBytes) } });
    expect(leaders.runs).toEqual([]);
  });
});
