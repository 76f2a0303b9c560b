import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { check } from "../../src/adapters/cassandra/checks.ts";
import { init } from "../../src/adapters/cassandra/init.ts";
import { CassandraLogStore } from "../../src/adapters/cassandra/log-store.ts";
import type { CassandraSession } from "../../src/adapters/cassandra/session.ts";
import { TestCassandra } from "../support/cassandra.ts";
import { Authority, canMakeCertificates } from "../support/certificates.ts";
import { areThere, folderOf } from "../support/engines.ts";

const KEYSPACE = "meridian";
const OPERATOR = { username: "operator", password: "operator's" };
const NODE = { username: "node", password: "node's" };
const STRANGER = { username: "stranger", password: "stranger's" };

/** What docs/operating.md says of access: certificates on both sides, and a role that may do no more than a node does. */
describe.skipIf(!areThere("cassandra") || !canMakeCertificates)("a Cassandra with TLS, passwords and permissions", () => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-cassandra-tls-"));
  const authority = Authority.make(folder);
  const client = authority.issue("node");
  const tls = { ca: authority.pem, cert: client.cert, key: client.key };
  const sessions: CassandraSession[] = [];
  let cassandra: TestCassandra;

  const connectAs = async (credentials: typeof NODE) => {
    const connected = await cassandra.connect(KEYSPACE, undefined, { tls, credentials });
    sessions.push(connected.session);
    return connected;
  };

  beforeAll(async () => {
    const server = authority.issue("cassandra", ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    cassandra = await TestCassandra.start({ folder: folderOf("cassandra-tls"), settings: settings(server.file, authority.file) });
    // Cassandra makes this role a while after its start.
    const first = { username: "cassandra", password: "cassandra" };
    const { session } = await vi.waitFor(() => connectAs(first), { timeout: 60_000, interval: 500 });
    for (const cql of roles(cassandra.dataCenters)) await session.define(cql);
  });

  afterAll(async () => {
    await Promise.all(sessions.map((session) => session.close()));
    await cassandra?.stop();
    rmSync(folder, { recursive: true });
  });

  it("is set up by an operator, and serves a node whose role may read and write the keyspace only [R12]", async () => {
    const { session: operator } = await connectAs(OPERATOR);
    await init({ session: operator, replicas: new Map(cassandra.dataCenters.map((each) => [each, 1])) });
    for (const cql of grants) await operator.define(cql);
    const { session, telemetry } = await connectAs(NODE);
    await check(session);
    expect(telemetry.events()).not.toContain("cassandra.node-not-checked");
    const store = new CassandraLogStore({ session });
    const row = { conversation: "tls", firstSeq: 1, epoch: 7n, bytes: Buffer.from("batch") };
    expect(await store.append(row)).toBe("committed");
    expect(await store.saveCheckpoint("tls", 7n, 1, Buffer.from("state"))).toBe("committed");
    await store.raiseEpochMark(1, 7n);
    await store.saveCursor({ conversation: "tls", consumer: "ada" }, { generation: 0, seq: 1 });
    for (const level of ["local", "quorum", "all"] as const) {
      expect((await store.read("tls", 1, { level, limitBytes: 1_000 })).rows).toHaveLength(1);
    }
    await expect(session.define(`DROP TABLE ${KEYSPACE}.batches`)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("does not serve a role without rights, and it is said what to do", async () => {
    const { session, telemetry } = await connectAs(STRANGER);
    const store = new CassandraLogStore({ session });
    expect(await store.append({ conversation: "tls", firstSeq: 2, epoch: 7n, bytes: Buffer.from("batch") })).toBe("unknown");
    const [line] = telemetry.lines.filter(({ event }) => event === "store.failing");
    expect(line?.fields.advice).toContain("the user's rights");
  });

  it.each([
    ["a wrong password", { tls, credentials: { ...NODE, password: "wrong" } }, "incorrect"],
    ["no password", { tls }, "requires authentication"],
    ["a certificate of its own that nobody signed", { tls: { ca: tls.ca }, credentials: NODE }, ""],
    ["no TLS", { credentials: NODE }, ""],
  ])("does not serve a node with %s", async (_, access, why) => {
    const failure = await cassandra.connect(KEYSPACE, undefined, access).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining(why) });
  });

  it("is not trusted with a certificate of another authority", async () => {
    const other = Authority.make(folder, "other");
    const failure = cassandra.connect(KEYSPACE, undefined, { tls: { ...tls, ca: other.pem }, credentials: NODE });
    await expect(failure).rejects.toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("certificate") });
  });
});

function settings(keyAndCertificate: string, authority: string): string {
  return `
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: true
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: ${keyAndCertificate}
  truststore: ${authority}
`;
}

/** Roles are looked up in the own data center: they must have replicas in all of them. */
function roles(dataCenters: readonly string[]): readonly string[] {
  const replicas = dataCenters.map((dataCenter) => `, '${dataCenter}': 1`).join("");
  const role = ({ username, password }: typeof NODE) =>
    `CREATE ROLE ${username} WITH PASSWORD = '${password.replaceAll("'", "''")}' AND LOGIN = true`;
  return [
    `ALTER KEYSPACE system_auth WITH replication = {'class': 'NetworkTopologyStrategy'${replicas}}`,
    ...[OPERATOR, NODE, STRANGER].map(role),
    `GRANT CREATE ON ALL KEYSPACES TO ${OPERATOR.username}`,
    `GRANT SELECT ON KEYSPACE system_views TO ${OPERATOR.username}`,
    `GRANT SELECT ON KEYSPACE system_views TO ${NODE.username}`,
  ];
}

/** Whoever makes a keyspace may grant it. */
const grants = ["SELECT", "MODIFY"].map((right) => `GRANT ${right} ON KEYSPACE ${KEYSPACE} TO ${NODE.username}`);
