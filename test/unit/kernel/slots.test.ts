import { describe, expect, it } from "vitest";
import { Deferred } from "../../../src/kernel/deferred.ts";
import { Slots } from "../../../src/kernel/slots.ts";

/** Work that is named by a letter and goes on until it is ended. */
function working(limit: number) {
  const slots = new Slots(limit);
  const begun: string[] = [];
  const ends = new Map<string, Deferred<void>>();
  for (const name of "abcdef") {
    const end = new Deferred<void>();
    ends.set(name, end);
    void slots.run(async () => {
      begun.push(name);
      await end.promise;
    }, name);
  }
  const end = async (name: string) => {
    ends.get(name)?.resolve();
    await settled();
  };
  return { slots, begun, end };
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("slots", () => {
  it("let so many pieces of work go on at once, the others in their order", async () => {
    const { begun, end } = working(2);
    expect(begun).toEqual(["a", "b"]);
    await end("b");
    await end("a");
    expect(begun).toEqual(["a", "b", "c", "d"]);
  });

  it("let those begin at once that somebody is in a hurry for, and then no others until they are few again", async () => {
    const { slots, begun, end } = working(2);
    slots.hurry("e");
    slots.hurry("a");
    slots.hurry("unknown");
    await settled();
    expect(begun).toEqual(["a", "b", "e"]);
    await end("a");
    expect(begun).toEqual(["a", "b", "e"]);
    await end("e");
    expect(begun).toEqual(["a", "b", "e", "c"]);
  });
});
