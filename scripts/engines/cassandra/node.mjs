// One node of Cassandra: its files, its process, and how one sees that it can be used.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { delimiter, join } from "node:path";
import { isPresent } from "../process.mjs";
import { configuration, jvmOptions, logging } from "./settings.mjs";
import { java } from "./software.mjs";

const MAIN = "org.apache.cassandra.service.CassandraDaemon";

export class CassandraNode {
  #settings;

  constructor({ server, ...settings }) {
    this.server = server;
    this.name = settings.name;
    this.address = settings.address;
    this.port = settings.port;
    this.dataCenter = settings.dataCenter;
    this.#settings = { ...settings, folder: server.folder };
  }

  start(library) {
    const { folder } = this.server;
    for (const each of ["", "data", "tmp", "triggers"]) mkdirSync(join(folder, each), { recursive: true });
    const write = (name, text) => writeFileSync(join(folder, name), text);
    write("cassandra.yaml", configuration(this.#settings));
    write("cassandra-rackdc.properties", `dc=${this.dataCenter}\nrack=rack1\n`);
    write("logback.xml", logging(folder));
    write("jvm.options", `${jvmOptions(folder).join("\n")}\n`);
    // What the former process wrote says nothing of the new one.
    write("system.log", "");
    const args = [`@${join(folder, "jvm.options")}`, "-cp", library.join(delimiter), MAIN];
    const [command, ...rest] = [...this.#settings.before, ...withoutMemoryLock(), java, ...args];
    this.server.start(command, rest);
  }

  /**
   * It takes clients, and knows of each other running node that it is up *and* where it stands. "Is now UP" alone is too
   * early: a node that has only just been heard of has no data center yet, and `CREATE KEYSPACE` then refuses its name.
   */
  async isReady(others) {
    const log = this.#log();
    if (!log.includes("Starting listening for CQL clients")) return false;
    const knows = ({ address }) => {
      const peer = `/${address}:${this.#settings.storagePort}`;
      return log.includes(`${peer} is now UP`) && log.includes(`Node ${peer} state NORMAL`);
    };
    return others.every(knows) && (await isListening(this.address, this.port));
  }

  /** Why it does not start, as far as its logs tell. */
  complaint() {
    const lines = this.#log().split("\n");
    const errors = lines.filter((line) => /\b(ERROR|Exception|Caused by)\b/.test(line));
    return [this.server.tail(), ...(errors.length > 0 ? errors : lines).slice(-10)].join("\n").trim();
  }

  #log() {
    const file = join(this.server.folder, "system.log");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }
}

/** As root, Cassandra would pin its whole heap in memory, which on a developer's machine doubles what it takes. */
function withoutMemoryLock() {
  const isRoot = process.getuid?.() === 0;
  return isRoot && isPresent(["setpriv", "--version"])
    ? ["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock"]
    : [];
}

function isListening(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => settle(false));
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}
