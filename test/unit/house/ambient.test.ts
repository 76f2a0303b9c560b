import { describe, expect, it } from "vitest";
import { checkAmbient } from "./ambient.ts";
import { PURE } from "./layers.ts";
import { fixtures, productSources } from "./tree.ts";

describe("ambient time, chance and surroundings", () => {
  it("are nowhere in the domain, the ports and the kernel", () => {
    const pure = productSources().filter((file) => PURE.includes(file.path.split("/")[1] ?? ""));
    expect(pure.length).toBeGreaterThan(10);
    expect(checkAmbient(pure)).toEqual([]);
  });

  it.each(fixtures("ambient"))("are judged as they should in the fixture $name", ({ files, reports }) => {
    expect(files.length).toBeGreaterThan(0);
    expect(checkAmbient(files)).toEqual(reports);
  });
});
