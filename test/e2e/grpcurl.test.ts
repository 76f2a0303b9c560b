import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NodeProcess } from "../support/node-process.ts";

const PATH = [process.env["PATH"], process.env["GOBIN"], join(homedir(), "go", "bin")].join(delimiter);
const present = grpcurl(["-version"]).status === 0;
if (!present) console.warn("SKIPPED: grpcurl. Install it as docs/grpcurl.md says.");

describe.skipIf(!present)("grpcurl, which knows nothing of Meridian", () => {
  const data = mkdtempSync(join(tmpdir(), "meridian-grpcurl-"));
  let node: NodeProcess;

  beforeAll(async () => {
    node = await NodeProcess.start({ data });
  });

  afterAll(async () => {
    await node.stop();
    rmSync(data, { recursive: true, force: true });
  });

  const call = (method: string, request: object, flags: readonly string[] = []) => {
    const { stdout, stderr } = grpcurl([...flags, "-plaintext", "-d", JSON.stringify(request), node.ready.clients, method]);
    return stdout === "" ? stderr : JSON.parse(stdout);
  };

  it("lists and describes every service of a node", () => {
    const services = (address: string) => grpcurl(["-plaintext", address, "list"]).stdout.trim().split("\n");
    const clients = services(node.ready.clients);
    const admin = services(node.ready.admin);
    expect(clients).toEqual(expect.arrayContaining(["grpc.health.v1.Health", "meridian.v1.MeridianService"]));
    expect(admin).toEqual(expect.arrayContaining(["grpc.health.v1.Health", "meridian.v1.AdminService"]));
    for (const service of clients) {
      expect(grpcurl(["-plaintext", node.ready.clients, "describe", service]).stdout).toContain(`${service} is a service`);
    }
  });

  it("sends a message once however often it repeats its key, follows the conversation, and gets ids [G3]", () => {
    const message = { conversation: "standup", sender: "ada", body: Buffer.from("good morning").toString("base64"), key: "azE=" };
    const sent = call("meridian.v1.MeridianService/Send", message);
    expect(sent).toMatchObject({ seq: "1" });
    expect(call("meridian.v1.MeridianService/Send", message)).toEqual(sent);
    const tail = call("meridian.v1.MeridianService/Tail", { conversation: "standup", after: 0 }, ["-max-time", "2"]);
    expect(tail).toMatchObject({ message: { seq: "1", id: sent.id, sender: "ada", body: message.body } });
    expect(call("meridian.v1.MeridianService/GenerateIds", { count: 3 }).ids).toHaveLength(3);
    expect(call("grpc.health.v1.Health/Check", { service: "meridian.v1.MeridianService" })).toEqual({ status: "SERVING" });
  });

  it("is told what is wrong with its request", () => {
    const answer = call("meridian.v1.MeridianService/Send", { conversation: "", sender: "ada", body: "aGk=" });
    expect(answer).toContain("INVALID_ARGUMENT");
  });
});

function grpcurl(args: readonly string[]) {
  return spawnSync("grpcurl", args, { encoding: "utf8", env: { ...process.env, PATH } });
}
