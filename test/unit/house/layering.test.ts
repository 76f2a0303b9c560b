import { describe, expect, it } from "vitest";
import { checkLayers } from "./layers.ts";
import { fixtures, productSources } from "./tree.ts";

describe("layering", () => {
  it("every import of the product goes down the layers", () => {
    expect(checkLayers(productSources())).toEqual([]);
  });

  it.each(fixtures("layering"))("is judged as it should in the fixture $name", ({ files, reports }) => {
    expect(files.length).toBeGreaterThan(0);
    expect(checkLayers(files)).toEqual(reports);
  });
});
