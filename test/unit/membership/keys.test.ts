import { describe, expect, it } from "vitest";
import { encodeValue, keys, parseHome, parseKey, parseOwner, parsePlacement } from "../../../src/membership/keys.ts";
import type { KeyValue } from "../../../src/ports/coordinator.ts";
import { codeOf } from "./cluster.ts";

function kv(value: string | Uint8Array): KeyValue {
  return { key: "k", value: typeof value === "string" ? new TextEncoder().encode(value) : value, modRevision: 1 };
}

describe("the coordinator's keys", () => {
  it.each(["standup", "a/b", "/", "//", "a/", "/a", "homes/eu/1/x", "ünï ✓ 日本 🙂", "x@eu", "%2F", "nodes/eu/a", " "])(
    "keep a home key of the conversation %j apart from all others",
    (conversation) => {
      const key = keys.home("eu", 7, conversation);
      expect(key.startsWith(keys.homes("eu", 7))).toBe(true);
      expect(parseKey(key)).toEqual({ kind: "home", region: "eu", shard: 7, conversation });
    },
  );

  it("list shard 1 without shard 12", () => {
    expect(keys.home("eu", 12, "x").startsWith(keys.homes("eu", 1))).toBe(false);
  });

  it("are read back as what they are", () => {
    expect(parseKey(keys.placement)).toEqual({ kind: "placement" });
    expect(parseKey(keys.node("eu", "n-1"))).toEqual({ kind: "node", region: "eu", node: "n-1" });
    expect(parseKey(keys.shard("eu", 0))).toEqual({ kind: "shard", region: "eu", shard: 0 });
  });

  it.each([
    "meridian/workers/3",
    "meridian/shards/eu",
    "meridian/shards/eu/x",
    "meridian/shards/eu/01",
    "meridian/shards/eu/1/x",
  ])("do not take %s for one of ours", (key) => expect(parseKey(key)).toBeUndefined());

  it.each(["other/nodes/eu/a", "meridian/homes/eu/1", "meridian/homes/eu/1/", "meridian/nodes/eu/a/b", "meridian/"])(
    "do not take %s for one of ours either",
    (key) => expect(parseKey(key)).toBeUndefined(),
  );
});

describe("the coordinator's values", () => {
  it("are read back as they were written", () => {
    const owner = { lease: "7", address: "a:1" };
    const placement = { version: 1, shards: 128, regions: ["eu", "us"], incarnation: 3 };
    expect(parseOwner(kv(encodeValue(owner)))).toEqual(owner);
    expect(parseHome(kv(encodeValue({ home: "eu" })))).toEqual({ home: "eu" });
    expect(parsePlacement(kv(encodeValue(placement)))).toEqual(placement);
  });

  it.each(["", "{", "7", "null", "[]", "{}", '{"home":""}', '{"home":1}', '{"home":"eu","more":1}', '{"hom":"eu"}'])(
    "are CORRUPT when they are %j",
    async (text) => expect(await codeOf(Promise.resolve().then(() => parseHome(kv(text))))).toBe("CORRUPT"),
  );

  it("are CORRUPT when they are not UTF-8", async () => {
    expect(await codeOf(Promise.resolve().then(() => parseOwner(kv(new Uint8Array([0x22, 0xff, 0x22])))))).toBe("CORRUPT");
  });

  it.each([-1, 32_768, 1.5, "1"])("do not take the incarnation %j", async (incarnation) => {
    const text = JSON.stringify({ version: 1, shards: 1, regions: ["eu"], incarnation });
    expect(await codeOf(Promise.resolve().then(() => parsePlacement(kv(text))))).toBe("CORRUPT");
  });
});
