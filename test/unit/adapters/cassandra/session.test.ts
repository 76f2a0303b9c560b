import { describe, expect, it } from "vitest";
import { CassandraSession } from "../../../../src/adapters/cassandra/session.ts";
import { SystemClock } from "../../../../src/adapters/system/clock.ts";
import { SystemRandom } from "../../../../src/adapters/system/random.ts";
import { MemoryTelemetry } from "../../../support/telemetry.ts";

describe("a session with Cassandra", () => {
  const connect = (keyspace: string) =>
    CassandraSession.connect({
      // Nobody listens there.
      contactPoints: ["127.0.0.1:1"],
      keyspace,
      localDataCenter: "us_east",
      clock: new SystemClock({ errorMs: 1 }),
      random: new SystemRandom(),
      telemetry: new MemoryTelemetry(),
    });

  it("says of each contact point why it is not there", async () => {
    await expect(connect("meridian")).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringMatching(/127\.0\.0\.1:1: .*ECONNREFUSED/),
      advice: expect.stringContaining("majority"),
    });
  });

  it.each(["", "Meridian", "a-b", "1a", `a${"b".repeat(48)}`, "a; DROP KEYSPACE b"])(
    "refuses %j as a keyspace's name",
    async (keyspace) => {
      await expect(connect(keyspace)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    },
  );
});
