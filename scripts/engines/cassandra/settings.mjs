// The files of one node. What matters to Meridian is as in production (docs/operating.md); the rest makes a node small
// and quick to start on a machine that runs three of them beside everything else.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const HEAP_MB = 256;

/** Even shares of the ring; with one token a node and equal replication the shares matter to nobody. */
const FIRST_TOKEN = -4_000_000_000_000_000_000n;
const TOKEN_STEP = 3_000_000_000_000_000_000n;

export function configuration({ address, port, storagePort, seeds, index, settings }) {
  return `cluster_name: meridian
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: GossipingPropertyFileSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{seeds: "${seeds.join(",")}"}]
listen_address: ${address}
rpc_address: ${address}
storage_port: ${storagePort}
native_transport_port: ${port}
num_tokens: 1
initial_token: ${FIRST_TOKEN + BigInt(index) * TOKEN_STEP}
auto_bootstrap: false
storage_compatibility_mode: NONE
paxos_variant: v2

# What Meridian asks for: on the disk before the answer, and rather no node than one that goes on without its disk.
commitlog_sync: batch
disk_failure_policy: stop
commit_failure_policy: stop
reject_out_of_token_range_requests: true

# A mutation may be half a segment: 16 MiB segments take the largest checkpoint.
commitlog_segment_size: 16MiB
commitlog_total_space: 128MiB
memtable_heap_space: 48MiB
memtable_offheap_space: 16MiB
file_cache_size: 32MiB
networking_cache_size: 16MiB
key_cache_size: 4MiB
counter_cache_size: 0MiB
prepared_statements_cache_size: 4MiB
concurrent_reads: 8
concurrent_writes: 64
concurrent_counter_writes: 2
concurrent_materialized_view_writes: 2
concurrent_compactors: 1
native_transport_max_threads: 64
hinted_handoff_throttle: 10240KiB
hints_flush_period: 1s
dynamic_snitch: false
auto_snapshot: false
snapshot_before_compaction: false
incremental_backups: false
# The lowest that is allowed: a node that was killed counts as down after about 14 s.
phi_convict_threshold: 5
${settings}`;
}

export function logging(folder) {
  return `<configuration>
  <statusListener class="ch.qos.logback.core.status.NopStatusListener"/>
  <appender name="FILE" class="ch.qos.logback.core.FileAppender">
    <file>${join(folder, "system.log")}</file>
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} %msg%n%ex</pattern></encoder>
  </appender>
  <!-- Only at this level does it say that it knows where another node stands. -->
  <logger name="org.apache.cassandra.service.StorageService" level="DEBUG"/>
  <logger name="org.apache.cassandra.config.Config" level="WARN"/>
  <root level="INFO"><appender-ref ref="FILE"/></root>
</configuration>
`;
}

export function jvmOptions(folder) {
  const url = (name) => pathToFileURL(join(folder, name)).href;
  const properties = {
    "cassandra.config": url("cassandra.yaml"),
    "cassandra-rackdc.properties": url("cassandra-rackdc.properties"),
    "logback.configurationFile": url("logback.xml"),
    "cassandra.storagedir": join(folder, "data"),
    "cassandra.logdir": folder,
    "cassandra.triggers_dir": join(folder, "triggers"),
    "java.io.tmpdir": join(folder, "tmp"),
    "jna.tmpdir": join(folder, "tmp"),
    // Measuring this at every start takes 2 to 3 s.
    "cassandra.memtable.row_overhead_size": 180,
    "cassandra.skip_wait_for_gossip_to_settle": 0,
    "cassandra.ring_delay_ms": 500,
    "cassandra.shutdown_announce_in_ms": 200,
    // Where passwords are asked for, the first role is made after this; at 0 a node would not wait between its tries.
    "cassandra.superuser_setup_delay_ms": 1_000,
    "cassandra.consistent.rangemovement": false,
    "cassandra.available_processors": 2,
    "jdk.attach.allowAttachSelf": true,
    "java.net.preferIPv4Stack": true,
    "java.awt.headless": true,
    "io.netty.tryReflectionSetAccessible": true,
    "io.netty.allocator.useCacheForAllThreads": true,
    "io.netty.allocator.maxOrder": 9,
  };
  return [
    `-Xms${HEAP_MB}m`,
    `-Xmx${HEAP_MB}m`,
    "-Xss256k",
    "-XX:MaxDirectMemorySize=128m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+PerfDisableSharedMem",
    "-XX:+ExitOnOutOfMemoryError",
    ...EXPORTS.map((name) => `--add-exports=${name}=ALL-UNNAMED`),
    ...OPENS.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
    ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
  ];
}

/** Parts of the JDK that Cassandra reaches into, as its own start script has them. */
const EXPORTS = [
  "java.base/jdk.internal.misc",
  "java.base/java.lang.ref",
  "java.management.rmi/com.sun.jmx.remote.internal.rmi",
  "java.rmi/sun.rmi.registry",
  "java.rmi/sun.rmi.server",
  "java.sql/java.sql",
  "jdk.unsupported/sun.misc",
  "jdk.compiler/com.sun.tools.javac.file",
  "jdk.attach/sun.tools.attach",
];
const OPENS = [
  "java.base/java.lang.module",
  "java.base/jdk.internal.loader",
  "java.base/jdk.internal.ref",
  "java.base/jdk.internal.reflect",
  "java.base/jdk.internal.math",
  "java.base/jdk.internal.module",
  "java.base/jdk.internal.util.jar",
  "java.base/sun.nio.ch",
  "java.base/java.io",
  "java.base/java.lang.reflect",
  "java.base/java.lang",
  "java.base/java.util",
  "java.base/java.nio",
  "jdk.management/com.sun.management.internal",
  "jdk.compiler/com.sun.tools.javac",
];
