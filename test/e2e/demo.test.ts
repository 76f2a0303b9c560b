import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;

describe("the demo", () => {
  it("ends with one transcript in every region and a record in which all holds [G1] [G2] [G4]", async () => {
    const child = spawn(process.execPath, [MAIN, "demo", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
    const lines: Record<string, unknown>[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line)));
    const [code] = await once(child, "close");
    const reported = (report: string) => lines.filter((line) => line.report === report);
    expect(reported("problem")).toEqual([]);
    expect(reported("transcripts")).toEqual([{ report: "transcripts", same: true }]);
    expect(reported("delivery")).toHaveLength(3);
    expect(reported("verdict")).toMatchObject([{ status: "holds" }]);
    expect(reported("check").map(({ guarantee, status }) => `${guarantee} ${status}`)).toEqual(
      ["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8"].map((guarantee) => `${guarantee} holds`),
    );
    expect(code).toBe(0);
  });
});
