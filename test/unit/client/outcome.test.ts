import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatRetryKey, parseRetryKey } from "../../../src/client/outcome.ts";

describe("a retry key", () => {
  it("comes back as it was, whatever the names are, ids above 2^53 included (T2) [G6]", () => {
    const id = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
    const name = fc.string({ unit: "grapheme", minLength: 1 });
    fc.assert(
      fc.property(
        name,
        name,
        id,
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        (sender, conversation, producer, counter) => {
          const key = { sender, producer, conversation, counter };
          const text = formatRetryKey(key);
          expect(text).toMatch(/^[\w-]+$/);
          expect(parseRetryKey(text)).toEqual(key);
        },
      ),
    );
  });

  it.each(["", "x", "bm9uc2Vuc2U", formatRetryKey({ sender: "a", producer: 1n, conversation: "c", counter: 1 }).slice(1)])(
    "is not taken from anything else: %j",
    (text) => {
      expect(() => parseRetryKey(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    },
  );
});
