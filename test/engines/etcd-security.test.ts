import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdCoordinator, type EtcdOptions } from "../../src/adapters/etcd/coordinator.ts";
import { SystemClock } from "../../src/adapters/system/clock.ts";
import { Authority, canMakeCertificates } from "../support/certificates.ts";
import { areThere } from "../support/engines.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

const clock = new SystemClock({ errorMs: 1 });

async function using<T>(
  options: Partial<EtcdOptions> & Pick<EtcdOptions, "endpoints">,
  work: (c: EtcdCoordinator) => Promise<T>,
) {
  const coordinator = await EtcdCoordinator.open({ prefix: "chat/", clock, telemetry: new MemoryTelemetry(), ...options });
  try {
    return await work(coordinator);
  } finally {
    await coordinator.close();
  }
}

const write = (coordinator: EtcdCoordinator) => coordinator.txn({ puts: [{ key: "a", value: Uint8Array.of(1) }] });

describe.skipIf(!areThere("etcd"))("an etcd with TLS", () => {
  let cluster: EtcdCluster;

  beforeAll(async () => {
    cluster = await EtcdCluster.start({ flags: ["--auto-tls"], scheme: "https" });
  });
  afterAll(() => cluster.stop());

  it("is talked to when its certificates are trusted, and not when they are unknown", async () => {
    const files = cluster.names.map((name) => join(cluster.folder, name, "data", "fixtures", "client", "cert.pem"));
    const ca = Buffer.concat(await Promise.all(files.map((file) => readFile(file))));
    const { endpoints } = cluster;
    expect(await using({ endpoints, tls: { ca } }, write)).toMatchObject({ status: "applied" });
    await expect(using({ endpoints, tls: {}, connectMs: 1_000 }, write)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      advice: expect.stringContaining("TLS"),
    });
  });
});

describe.skipIf(!areThere("etcd") || !canMakeCertificates)("an etcd that asks for certificates", () => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-etcd-tls-"));
  const authority = Authority.make(folder);
  const { cert, key } = authority.issue("node");
  const pem = { ca: Buffer.from(authority.pem), cert: Buffer.from(cert), key: Buffer.from(key) };
  let cluster: EtcdCluster;

  beforeAll(async () => {
    authority.issue("etcd", ["127.0.0.1"]);
    const files = ["--cert-file", join(folder, "etcd.crt"), "--key-file", join(folder, "etcd.key")];
    const flags = [...files, "--client-cert-auth", "--trusted-ca-file", authority.file];
    cluster = await EtcdCluster.start({ flags, scheme: "https" });
  });
  afterAll(async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true });
  });

  it("serves a node with one of its authority, and no other", async () => {
    const { endpoints } = cluster;
    expect(await using({ endpoints, tls: pem }, write)).toMatchObject({ status: "applied" });
    const other = Authority.make(folder, "other").issue("stranger");
    for (const tls of [{ ca: pem.ca }, { ca: pem.ca, cert: Buffer.from(other.cert), key: Buffer.from(other.key) }]) {
      await expect(using({ endpoints, tls, connectMs: 1_000 }, write)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
  });
});

describe.skipIf(!areThere("etcd"))("an etcd with passwords", () => {
  let cluster: EtcdCluster;
  const login = { user: "meridian", password: "secret" };

  beforeAll(async () => {
    cluster = await EtcdCluster.start();
    const range = { key: base64("chat/"), range_end: base64("chat0") };
    await cluster.ask("/v3/auth/user/add", { name: "root", password: "root" });
    await cluster.ask("/v3/auth/user/grant", { user: "root", role: "root" });
    await cluster.ask("/v3/auth/user/add", { name: login.user, password: login.password });
    await cluster.ask("/v3/auth/role/add", { name: "chat" });
    await cluster.ask("/v3/auth/role/grant", { name: "chat", perm: { permType: "READWRITE", ...range } });
    await cluster.ask("/v3/auth/user/grant", { user: login.user, role: "chat" });
    await cluster.ask("/v3/auth/enable", {});
  });
  afterAll(() => cluster.stop());

  it("serves a user whose role covers the cluster's prefix: transactions, leases and watches", async () => {
    await using({ endpoints: cluster.endpoints, login }, async (coordinator) => {
      const { lease } = await coordinator.grant(60_000);
      expect((await coordinator.renew(lease)).ttlMs).toBe(60_000);
      const answer = await coordinator.txn({ puts: [{ key: "a", value: new Uint8Array(), lease }] });
      expect(answer.status).toBe("applied");
      const revision = "header" in answer ? answer.header.revision : 0;
      const watch = coordinator.watch("", revision)[Symbol.asyncIterator]();
      expect((await watch.next()).value?.events).toHaveLength(1);
      await watch.return?.();
      await coordinator.revoke(lease);
    });
  });

  it("refuses other prefixes, wrong passwords and nobody in particular, and each time it is said what to do", async () => {
    const { endpoints } = cluster;
    await expect(using({ endpoints, login, prefix: "other/" }, write)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    const wrong = { ...login, password: "wrong" };
    await expect(using({ endpoints, login: wrong }, write)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(using({ endpoints, connectMs: 1_000 }, write)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      advice: expect.stringContaining("user"),
    });
  });

  it("is logged in to again after it has forgotten the token", async () => {
    await using({ endpoints: cluster.endpoints, login }, async (coordinator) => {
      expect((await write(coordinator)).status).toBe("applied");
      await cluster.kill();
      await cluster.up();
      await expect.poll(async () => (await write(coordinator)).status, { timeout: 10_000 }).toBe("applied");
    });
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
