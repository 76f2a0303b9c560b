import { type create, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GrpcNetwork } from "../../../src/adapters/grpc/channel.ts";
import { GrpcServer } from "../../../src/adapters/grpc/server.ts";
import { SystemClock } from "../../../src/adapters/system/clock.ts";
import { ServerReflection, type ServerReflectionRequestSchema } from "../../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../../src/gen/health/v1/health_pb.ts";
import { MeridianService } from "../../../src/gen/meridian/v1/client_pb.ts";
import { Deferred } from "../../../src/kernel/deferred.ts";
import type { Channel } from "../../../src/ports/network.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

const DEADLINE = { deadlineMs: 5_000 };
const { locate, session } = MeridianService.method;

describe("GrpcServer", () => {
  const clock = new SystemClock({ errorMs: 100 });
  const telemetry = new MemoryTelemetry();
  let server: GrpcServer;
  let channel: Channel;
  let began: Deferred<void>;
  let go: Deferred<void>;

  beforeEach(async () => {
    began = new Deferred();
    go = new Deferred();
    const waits = async () => {
      began.resolve();
      await go.promise;
      return { home: "here" };
    };
    const handlers = Object.fromEntries(MeridianService.methods.map(({ localName }) => [localName, waits]));
    const services = [{ service: MeridianService, handlers }];
    server = await GrpcServer.listen({ address: "127.0.0.1:0", services, clock, telemetry });
    channel = new GrpcNetwork().channel(server.address);
  });

  afterEach(async () => {
    channel.close();
    await server.close({ graceMs: 0 });
  });

  it("says what to do when its port is taken", async () => {
    const second = GrpcServer.listen({ address: server.address, services: [], clock, telemetry });

    await expect(second).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: `cannot listen on ${server.address}`,
      advice: expect.stringContaining("EADDRINUSE"),
    });
  });

  it("refuses a registration that lacks a handler", async () => {
    const services = [{ service: MeridianService, handlers: {} }];

    await expect(GrpcServer.listen({ address: "127.0.0.1:0", services, clock, telemetry })).rejects.toMatchObject({
      code: "INTERNAL",
      message: "meridian.v1.MeridianService has no handler for Session",
    });
  });

  it("answers health checks with what it was told last, and NOT_SERVING before that", async () => {
    const check = async (service: string) => (await channel.unary(Health.method.check, { service }, DEADLINE)).status;

    expect(await check("")).toBe(Serving.NOT_SERVING);
    server.setServing(true);
    expect([await check(""), await check("meridian.v1.MeridianService")]).toEqual([Serving.SERVING, Serving.SERVING]);
    server.setServing(false);
    expect(await check("")).toBe(Serving.NOT_SERVING);
    await expect(check("nobody.Knows")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("lists and describes its services, health and reflection itself to tools", async () => {
    const stream = channel.duplex(ServerReflection.method.serverReflectionInfo);
    const ask = (messageRequest: ReturnType<typeof create<typeof ServerReflectionRequestSchema>>["messageRequest"]) =>
      stream.write({ messageRequest });
    ask({ case: "listServices", value: "*" });
    const described = [
      "meridian.v1.MeridianService",
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
    ];
    for (const value of described) ask({ case: "fileContainingSymbol", value });
    stream.close();

    const answers = [];
    for await (const { messageResponse } of stream.frames) answers.push(messageResponse);

    const [list, ...files] = answers;
    expect(list?.case === "listServicesResponse" && list.value.service.map(({ name }) => name)).toEqual(described);
    const names = files.map((answer) =>
      answer?.case === "fileDescriptorResponse"
        ? answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name)
        : answer?.case,
    );
    expect(names).toEqual([
      ["meridian/v1/client.proto", "meridian/v1/types.proto"],
      ["health/v1/health.proto"],
      ["grpc/reflection/v1/reflection.proto"],
      ["grpc/reflection/v1alpha/reflection.proto"],
    ]);
  });

  it("gives a unary call its grace when it stops, but breaks streams at once", async () => {
    const stream = channel.duplex(session);
    stream.write({ frame: { case: "ping", value: {} } });
    const broken = expect(stream.frames[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: "the server stops",
      retry: "elsewhere",
    });
    await began.promise;
    began = new Deferred();
    const call = channel.unary(locate, {}, DEADLINE);
    await began.promise;

    const closed = server.close({ graceMs: 60_000 });
    await broken;
    go.resolve();

    expect((await call).home).toBe("here");
    await closed;
  });

  it("breaks a unary call with UNAVAILABLE once its grace is over [G9]", async () => {
    const call = expect(channel.unary(locate, {}, DEADLINE)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: "the server stops",
    });
    await began.promise;

    await server.close({ graceMs: 0 });

    await call;
  });
});
