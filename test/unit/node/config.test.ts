import { describe, expect, it } from "vitest";
import { environmentConfig, nodeConfig, regionsConfig } from "../../../src/node/config.ts";

const wrong = (settings: object) => {
  try {
    nodeConfig(settings);
  } catch (error) {
    return error;
  }
  throw new Error("the settings were taken");
};

describe("a node's configuration", () => {
  it("has defaults for everything", () => {
    expect(nodeConfig()).toMatchObject({ node: "node-1", region: "local", listen: "127.0.0.1:7401", logLevel: "warn" });
  });

  it("lets flags count more than the environment, and that more than the file", () => {
    const file = { node: "file", region: "file", data: "file" };
    const environment = environmentConfig({ MERIDIAN_NODE: "environment", MERIDIAN_REGION: "environment", HOME: "x" });
    expect(nodeConfig(file, environment, { node: "flag", data: undefined })).toMatchObject({
      node: "flag",
      region: "environment",
      data: "file",
    });
  });

  it("reads numbers and long names from the environment", () => {
    const environment = environmentConfig({ MERIDIAN_BODY_BYTES_MAX: "1000", MERIDIAN_ADMIN_LISTEN: "127.0.0.1:1" });
    expect(nodeConfig(environment)).toMatchObject({ bodyBytesMax: 1_000, adminListen: "127.0.0.1:1" });
  });

  it("names what is wrong: an unknown setting, a bad value, a number that is none", () => {
    expect(wrong({ nodes: 3 })).toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("nodes") });
    expect(wrong({ logLevel: "loud" })).toMatchObject({ message: expect.stringContaining("logLevel") });
    expect(wrong(environmentConfig({ MERIDIAN_BODY_BYTES_MAX: "many" }))).toMatchObject({
      message: expect.stringContaining("bodyBytesMax"),
    });
  });

  it("refuses every address that others could reach, with advice", () => {
    for (const address of ["0.0.0.0:7401", "10.0.0.1:7401", "[::]:7401", "example.org:7401", "127.0.0.1.example.org:1"]) {
      expect(wrong({ listen: address })).toMatchObject({
        code: "INVALID_ARGUMENT",
        advice: expect.stringContaining("127.0.0.1"),
      });
      expect(wrong({ peerListen: address })).toMatchObject({ code: "INVALID_ARGUMENT" });
    }
    for (const listen of ["127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"])
      expect(nodeConfig({ listen }).listen).toBe(listen);
  });
});

describe("the configuration of regions in one process", () => {
  it("has a data directory of its own, and takes what concerns all nodes", () => {
    expect(regionsConfig()).toMatchObject({ data: ".meridian/regions" });
    expect(regionsConfig({ data: "d" }, { bodyBytesMax: 1_000 })).toMatchObject({ data: "d", bodyBytesMax: 1_000 });
  });

  it("refuses what only one node can have, and says where it belongs", () => {
    for (const setting of ["node", "region", "listen", "peerListen", "adminListen"]) {
      const value = setting.toLowerCase().endsWith("listen") ? "127.0.0.1:1" : "x";
      expect(() => regionsConfig({ [setting]: value })).toThrow(setting);
    }
  });
});
