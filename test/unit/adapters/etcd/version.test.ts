import { describe, expect, it } from "vitest";
import { checkVersion } from "../../../../src/adapters/etcd/version.ts";

describe("a member's version", () => {
  it.each(["3.5.3", "3.5.21", "3.6.0-rc.1", "3.6.16", "3.10.0", "4.0.0"])("%s is sound", (version) => {
    expect(checkVersion("host:2379", version)).toBe("sound");
  });

  it.each(["3.5.0", "3.5.1", "3.5.2"])("%s is warned of", (version) => {
    expect(checkVersion("host:2379", version)).toBe("unsound");
  });

  it.each(["3.4.23", "2.3.8"])("%s is refused", (version) => {
    expect(() => checkVersion("host:2379", version)).toThrow(/3\.5\.0 is needed/);
  });
});
