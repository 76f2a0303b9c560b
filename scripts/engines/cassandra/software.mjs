// Cassandra itself, from the artifacts that it is published as: a library and what it needs, in one folder of jars.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { since } from "../../lib.mjs";
import { cache, cached, isPresent, tool } from "../process.mjs";

const VERSION = "5.0.9";

const NAME = `cassandra-${VERSION}`;

/** Of the three nodes, where they stand on the loopback. */
export const ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

/** What Cassandra 5.0 runs on. */
const JAVA_VERSIONS = [11, 17];

export const java = process.env.JAVA_HOME === undefined ? "java" : join(process.env.JAVA_HOME, "bin", "java");

/** Whether it is there, and this machine can run it. */
export function isPrepared() {
  return existsSync(join(cache, NAME)) && missing() === undefined;
}

/** All that this machine lacks, in sentences that say what to do; undefined when it lacks nothing. */
function missing() {
  const lacks = [];
  const version = javaVersion();
  if (!JAVA_VERSIONS.includes(version)) {
    const found = version === undefined ? "there is none" : `this is ${version}`;
    lacks.push(`Cassandra needs Java 17 (or 11); ${found}. Install a JDK 17, or point JAVA_HOME to one.`);
  }
  // Linux has all of 127.0.0.0/8 by itself.
  if (process.platform !== "linux" && !ADDRESSES.every((address) => isOwn(address))) {
    lacks.push(`Cassandra's nodes take ${ADDRESSES.join(", ")}; add those that this machine lacks (macOS: ifconfig lo0 alias).`);
  }
  if (!existsSync(join(cache, NAME)) && !isPresent(["mvn", "-v"])) {
    lacks.push("Cassandra is fetched with Maven, which is not there. Install Maven (mvn).");
  }
  return lacks.length === 0 ? undefined : lacks.join(" ");
}

function isOwn(address) {
  return Object.values(networkInterfaces()).some((all) => all.some((one) => one.address === address));
}

/** The class path. Fetches the jars the first time: about 90 of them, 60 MB. Throws what is missing. */
export async function jars(say) {
  const lacking = missing();
  if (lacking !== undefined) throw new Error(lacking);
  const folder = await cached(NAME, async (draft) => {
    const startedMs = Date.now();
    say(`cassandra: fetching Cassandra ${VERSION} with Maven, once`);
    await fetch(draft);
    say(`cassandra: fetched (${since(startedMs)})`);
  });
  const names = readdirSync(folder).filter((name) => name.endsWith(".jar"));
  return names.sort().map((name) => join(folder, name));
}

async function fetch(folder) {
  const pom = join(folder, "pom.xml");
  writeFileSync(
    pom,
    `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>cassandra</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>${VERSION}</version></dependency>
  </dependencies>
</project>
`,
  );
  const copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
  await tool("mvn", ["-q", "-B", "-ntp", "-f", pom, copy, "-DincludeScope=runtime", `-DoutputDirectory=${folder}`]);
  rmSync(pom);
}

/** 17 of `openjdk version "17.0.15"`, 8 of "1.8.0_392"; undefined without Java. */
function javaVersion() {
  const { status, stderr } = spawnSync(java, ["-version"], { encoding: "utf8" });
  const found = status === 0 ? /version "(?:1\.)?(\d+)/.exec(stderr) : null;
  return found === null ? undefined : Number(found[1]);
}
