import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Meridian's own topology with free ports instead of its own, as a file in `directory`; answers the file's path. */
export async function anyPortsTopology(directory: string): Promise<string> {
  const text = await readFile(new URL("../../regions/topology.json", import.meta.url), "utf8");
  const file = join(directory, "topology.json");
  await writeFile(file, text.replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:0"));
  return file;
}
