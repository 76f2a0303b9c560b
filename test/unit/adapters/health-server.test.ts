import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HealthServer } from "../../../src/adapters/system/health-server.ts";

describe("HealthServer", () => {
  let reasons: readonly string[];
  let server: HealthServer;

  beforeEach(async () => {
    reasons = [];
    server = await HealthServer.listen({ address: "127.0.0.1:0", reasons: () => reasons });
  });

  afterEach(() => server.close());

  const ask = async (path: string, method = "GET") => {
    const answer = await fetch(`http://${server.address}${path}`, { method });
    return { status: answer.status, body: await answer.json() };
  };

  it("says that the process lives, ready or not", async () => {
    reasons = ["this node has no lease"];
    expect(await ask("/healthz")).toEqual({ status: 200, body: { live: true } });
  });

  it("says whether it may be given work, and else why not", async () => {
    expect(await ask("/readyz?verbose")).toEqual({ status: 200, body: { ready: true, reasons: [] } });
    reasons = ["this node has no lease", "the clock is not synchronised"];
    expect(await ask("/readyz")).toEqual({ status: 503, body: { ready: false, reasons } });
  });

  it("knows nothing else, and takes nothing", async () => {
    expect((await ask("/")).status).toBe(404);
    expect((await ask("/readyz", "POST")).status).toBe(405);
  });

  it("says what to do when its port is taken", async () => {
    await expect(HealthServer.listen({ address: server.address, reasons: () => [] })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      advice: expect.stringContaining("EADDRINUSE"),
    });
  });
});
