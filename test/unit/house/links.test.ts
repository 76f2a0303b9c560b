import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkLinks, type Tree } from "./links.ts";
import { readSources, root, treeFiles } from "./tree.ts";

const onDisk: Tree = {
  exists: (path) => existsSync(join(root, path)),
  read: (path) => readFileSync(join(root, path), "utf8"),
};

const LEADER = [
  "export class Leader {",
  "  submit(): void {}",
  "}",
  "class Hidden {}",
  "export const LIMITS = { bodyBytes: 1 } as const;",
].join("\n");

const imagined: Tree = {
  exists: (path) => ["src/leader.ts", "docs/guide.md", "src"].includes(path),
  read: (path) => (path === "src/leader.ts" ? LEADER : "# The Guide\n\n## What's new, really"),
};

const check = (markdown: string) => checkLinks([{ path: "docs/some.md", text: markdown }], imagined);

describe("the links of documents", () => {
  it("lead to files and to names that these files export", () => {
    const documents = readSources(treeFiles().filter((path) => path.endsWith(".md")));
    expect(documents.length).toBeGreaterThan(5);
    expect(checkLinks(documents, onDisk)).toEqual([]);
  });

  it("are right with a file, a folder, a heading, an exported name or a member", () => {
    expect(check("[a](../src/leader.ts) [b](../src) [c](guide.md#whats-new-really) [d](https://example.com/x)")).toEqual([]);
    expect(check("[`Leader.submit`](../src/leader.ts#submit) [`LIMITS`](../src/leader.ts#LIMITS)")).toEqual([]);
    expect(check("[the limit](../src/leader.ts#bodyBytes)\n```\n[no](link.md)\n```\n")).toEqual([]);
  });

  it("are reported when the file, the heading or the name is gone", () => {
    expect(check("[a](gone.md)")).toEqual(["docs/some.md: gone.md does not exist"]);
    expect(check("[a](guide.md#gone)")).toEqual(["docs/some.md: docs/guide.md has no gone"]);
    expect(check("[a](../src/leader.ts#drain)")).toEqual(["docs/some.md: src/leader.ts has no drain"]);
    expect(check("[a](../src/leader.ts#Hidden)")).toEqual(["docs/some.md: src/leader.ts has no Hidden"]);
    expect(check("[`Follower.submit`](../src/leader.ts#submit)")).toEqual(["docs/some.md: src/leader.ts has no Follower.submit"]);
  });
});
