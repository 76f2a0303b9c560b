import { describe, expect, it } from "vitest";
import {
  clusterConfig,
  effectiveSettings,
  embeddedConfig,
  nodeConfig,
  regionsConfig,
  SETTINGS,
  withoutSecrets,
} from "../../../src/node/config.ts";
import { environmentSource, fileSource, flagSource, type Source } from "../../../src/node/settings.ts";

const file = (content: object) => fileSource("node.json", content, SETTINGS);
const environment = (variables: Readonly<Record<string, string>>) => environmentSource(variables, SETTINGS);
const flags = (values: Readonly<Record<string, string | undefined>>) => flagSource(values, SETTINGS);

const wrong = (...sources: readonly Source[]) => {
  try {
    nodeConfig(sources);
  } catch (error) {
    return error;
  }
  throw new Error("the settings were taken");
};

const REGIONS = { "us-east": "us_east", "eu-west": "eu_west", "ap-southeast": "ap_southeast" };
const CLUSTER = {
  region: "us-east",
  regions: REGIONS,
  etcd: { endpoints: ["127.0.0.1:2379"] },
  cassandra: { contactPoints: ["127.0.0.1"] },
};

describe("a node's configuration", () => {
  it("has defaults for everything, and no cluster", () => {
    const config = nodeConfig([]);
    expect(config).toMatchObject({ profile: "embedded", node: "node-1", region: "local", listen: "127.0.0.1:7401" });
    expect(config).toMatchObject({ logLevel: "warn", data: ".meridian/local" });
    expect(config.healthListen).toBeUndefined();
  });

  it("lets flags count more than the environment, and that more than the file", () => {
    const told = file({ node: "file", region: "file", data: "file" });
    const surroundings = environment({ MERIDIAN_NODE: "environment", MERIDIAN_REGION: "environment", HOME: "x" });
    expect(nodeConfig([told, surroundings, flags({ node: "flag", data: undefined })])).toMatchObject({
      node: "flag",
      region: "environment",
      data: "file",
    });
  });

  it("reads numbers, lists, pairs and long names from the environment", () => {
    const surroundings = environment({
      MERIDIAN_BODY_BYTES_MAX: "1000",
      MERIDIAN_ADMIN_LISTEN: "127.0.0.1:1",
      MERIDIAN_REGION: "a",
      MERIDIAN_REGIONS: "a=dc_a, b=dc_b",
      MERIDIAN_ETCD_ENDPOINTS: "127.0.0.1:1, 127.0.0.1:2",
      MERIDIAN_CASSANDRA_CONTACT_POINTS: "127.0.0.1",
      MERIDIAN_LEASE_TTL_MS: "8000",
    });
    expect(nodeConfig([surroundings])).toMatchObject({
      bodyBytesMax: 1_000,
      adminListen: "127.0.0.1:1",
      regions: { a: "dc_a", b: "dc_b" },
      etcd: { endpoints: ["127.0.0.1:1", "127.0.0.1:2"], prefix: "meridian/" },
      lease: { ttlMs: 8_000, renewMs: 1_000, marginMs: 3_000 },
    });
  });

  it("names what is wrong and where it stands: an unknown setting, a bad value, a number that is none", () => {
    expect(wrong(file({ nodes: 3 }))).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: "the configuration is wrong: nodes (file node.json): there is no such setting here",
    });
    expect(wrong(flags({ logLevel: "loud" }))).toMatchObject({ message: expect.stringContaining("logLevel (flag)") });
    expect(wrong(environment({ MERIDIAN_BODY_BYTES_MAX: "many" }))).toMatchObject({
      message: expect.stringContaining("bodyBytesMax (environment MERIDIAN_BODY_BYTES_MAX)"),
    });
    expect(wrong(file({ ...CLUSTER, etcd: { endpoints: ["127.0.0.1:2379", "nowhere"] } }))).toMatchObject({
      message: expect.stringContaining("etcd.endpoints.1 (file node.json): an address is host:port"),
    });
    expect(() => flags({ "etcd.endpoint": "127.0.0.1:2379" })).toThrow("there is no setting etcd.endpoint");
  });

  it("refuses every address that others could reach, with what to do", () => {
    for (const address of ["0.0.0.0:7401", "10.0.0.1:7401", "[::]:7401", "example.org:7401", "127.0.0.1.example.org:1"]) {
      for (const setting of ["listen", "peerListen", "adminListen", "healthListen"]) {
        expect(wrong(file({ [setting]: address }))).toMatchObject({
          code: "INVALID_ARGUMENT",
          message: expect.stringContaining("so listen on 127.0.0.1"),
        });
      }
    }
    for (const listen of ["127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"])
      expect(nodeConfig([file({ listen })]).listen).toBe(listen);
  });

  it("takes such addresses where somebody says that it is insecure, by each of the three ways", () => {
    const outside = file({ ...CLUSTER, listen: "10.0.0.1:7401", peerListen: "10.0.0.1:7411" });
    expect(wrong(outside)).toMatchObject({ message: expect.stringContaining("on a network of your own set insecure") });
    for (const said of [file({ insecure: true }), environment({ MERIDIAN_INSECURE: "true" }), flags({ insecure: "true" })])
      expect(nodeConfig([outside, said])).toMatchObject({ insecure: true, listen: "10.0.0.1:7401", peerListen: "10.0.0.1:7411" });
    expect(wrong(outside, flags({ insecure: "false" }))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(wrong(outside, flags({ insecure: "yes" }))).toMatchObject({ message: expect.stringContaining("insecure (flag)") });
  });
});

describe("the configuration of a cluster's node", () => {
  it("is one as soon as etcd or Cassandra is named, and then needs all of a cluster", () => {
    expect(nodeConfig([file(CLUSTER)])).toMatchObject({ profile: "cluster", cassandra: { port: 9_042, keyspace: "meridian" } });
    expect(wrong(file({ etcd: CLUSTER.etcd }))).toMatchObject({ message: expect.stringMatching(/regions.*cassandra/) });
    expect(wrong(file(CLUSTER), flags({ data: "d" }))).toMatchObject({ message: expect.stringContaining("data (flag)") });
    expect(() => embeddedConfig([file(CLUSTER)])).toThrow("a node of a cluster");
    expect(() => clusterConfig([file({})])).toThrow("neither etcd nor Cassandra");
  });

  it("keeps the data centers in the file's order: the nearest first", () => {
    const turned = { "us-east": "us_east", "ap-southeast": "ap_southeast", "eu-west": "eu_west" };
    expect(Object.values(clusterConfig([file({ ...CLUSTER, regions: turned })]).regions)).toEqual(Object.values(turned));
  });

  it("refuses what no single setting shows", () => {
    const faults: readonly (readonly [object, string])[] = [
      [{ region: "mars" }, "own region mars is not among"],
      [{ regions: { ...REGIONS, "eu-west": "us_east" } }, "two regions share a data center"],
      [{ peerListen: "127.0.0.1:0" }, "it cannot be 0"],
      [{ lease: { ttlMs: 6_000, marginMs: 4_000 } }, "three renewals"],
      [{ lease: { ttlMs: 12_000 } }, "ids are fenced for at most"],
      [{ etcd: { ...CLUSTER.etcd, username: "m" } }, "a name and a password go together"],
      [{ etcd: { ...CLUSTER.etcd, passwordFile: "p" } }, "a name and a password go together"],
      [{ cassandra: { ...CLUSTER.cassandra, tls: { caFile: "ca", certFile: "c" } } }, "a certificate and its key"],
      [{ cassandra: { ...CLUSTER.cassandra, keyspace: "Chat" } }, "cassandra.keyspace"],
      [{ etcd: { ...CLUSTER.etcd, prefix: "chat" } }, "etcd.prefix"],
    ];
    for (const [change, message] of faults) {
      expect(wrong(file({ ...CLUSTER, ...change }))).toMatchObject({ message: expect.stringContaining(message) });
    }
    const twice = file({ ...CLUSTER, etcd: { ...CLUSTER.etcd, username: "m", passwordFile: "p" } });
    expect(wrong(twice, environment({ MERIDIAN_ETCD_PASSWORD: "x" }))).toMatchObject({
      message: expect.stringContaining("the password is given twice"),
    });
  });

  it("takes a secret from the environment or a file of its own, never from a file of settings or a flag", () => {
    const open = file({ ...CLUSTER, etcd: { ...CLUSTER.etcd, username: "m", password: "hush" } });
    expect(() => withoutSecrets(open)).toThrow("etcd.password (file node.json)");
    expect(() => withoutSecrets(flags({ "cassandra.password": "hush" }))).toThrow("cassandra.password (flag)");
    const closed = file({ ...CLUSTER, etcd: { ...CLUSTER.etcd, username: "m", passwordFile: "p" } });
    expect(withoutSecrets(closed)).toBe(closed);
  });
});

describe("the effective configuration", () => {
  const sources = [
    file({ ...CLUSTER, etcd: { ...CLUSTER.etcd, username: "m" }, node: "file" }),
    environment({ MERIDIAN_ETCD_PASSWORD: "hush", MERIDIAN_NODE: "environment" }),
    flags({ logLevel: "info" }),
  ];
  const settings = effectiveSettings(sources);
  const find = (name: string) => settings.find(({ setting }) => setting === name);

  it("says of every value where it comes from", () => {
    expect(find("node")).toEqual({ setting: "node", value: "environment", origin: "environment MERIDIAN_NODE" });
    expect(find("etcd.endpoints")).toMatchObject({ value: ["127.0.0.1:2379"], origin: "file node.json" });
    expect(find("logLevel")).toMatchObject({ value: "info", origin: "flag" });
    expect(find("cassandra.port")).toMatchObject({ value: 9_042, origin: "default" });
    expect(find("regions")).toMatchObject({ value: REGIONS, origin: "file node.json" });
    expect(find("data")).toBeUndefined();
  });

  it("masks secrets", () => {
    expect(find("etcd.password")).toMatchObject({ value: "********", origin: "environment MERIDIAN_ETCD_PASSWORD" });
    expect(JSON.stringify(settings)).not.toContain("hush");
  });
});

describe("the configuration of regions in one process", () => {
  it("has a data directory of its own, and takes what concerns all nodes", () => {
    expect(regionsConfig([])).toMatchObject({ data: ".meridian/regions" });
    expect(regionsConfig([file({ data: "d" }), file({ bodyBytesMax: 1_000 })])).toMatchObject({ data: "d", bodyBytesMax: 1_000 });
  });

  it("refuses what only one node can have, and says where it belongs", () => {
    for (const setting of ["node", "region", "listen", "peerListen", "adminListen", "healthListen"]) {
      const value = setting.toLowerCase().endsWith("listen") ? "127.0.0.1:1" : "x";
      expect(() => regionsConfig([file({ [setting]: value })])).toThrow(setting);
    }
  });
});
