import { describe, expect, it } from "vitest";
import { checkStrings } from "./strings.ts";
import { readSources, treeFiles } from "./tree.ts";

const bad = (line: string) => checkStrings([{ path: "docs/some.md", text: `first\n${line}\nlast` }]);

describe("the tree", () => {
  it("holds no machine's paths, no registry's host names and nothing left for later", () => {
    expect(checkStrings(readSources(treeFiles()))).toEqual([]);
  });

  it("pins packages without saying where they were fetched from", () => {
    const [lock] = readSources(["package-lock.json"]);
    expect(lock?.text).toContain('"integrity"');
    expect(lock?.text).not.toContain('"resolved"');
  });

  it("would be caught with a path, a host name or a note for later in it", () => {
    const path = "docs/some.md:2: holds a path of somebody's machine";
    const host = "docs/some.md:2: holds a package registry's host";
    const later = "docs/some.md:2: holds work that was left for later";
    expect(bad(`see ${["", "home", "ann", "notes"].join("/")}`)).toEqual([path]);
    expect(bad(`"${["", "root", ".npmrc"].join("/")}"`)).toEqual([path]);
    expect(bad(`${["", "work", "main"].join("/")}`)).toEqual([path]);
    expect(bad(`cd ${["", "tmp", "x"].join("/")}`)).toEqual([path]);
    expect(bad(`https://${["registry", "example", "org"].join(".")}/x`)).toEqual([host]);
    expect(bad(`https://www.${["npmjs", "com"].join(".")}/x`)).toEqual([host]);
    expect(bad(`// ${"TO"}${"DO"}: later`)).toEqual([later]);
  });

  it("may speak of folders that merely share a name with a machine's", () => {
    expect(bad("src/work/main.ts, homes/<region>/<n>, ./tmp/x, a registry of nodes, shards/home/1")).toEqual([]);
  });
});
