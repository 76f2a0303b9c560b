/**
 * R12: with unequal numbers of replicas a majority of them may sit in a minority of the regions, whose loss then loses what
 * was acknowledged; and with fewer than three data centers the loss of one stops everything or loses something.
 */
export function replicationFaults(replicas: ReadonlyMap<string, number>, localDataCenter: string): readonly string[] {
  const text = [...replicas].map(([dataCenter, count]) => `${dataCenter}: ${count}`).join(", ");
  const faults: string[] = [];
  if (replicas.size < 3) faults.push(`there are replicas in ${replicas.size} data centers, and it takes three or more (${text})`);
  if (new Set(replicas.values()).size > 1) faults.push(`the data centers have unequal numbers of replicas (${text})`);
  if ([...replicas.values()].some((count) => !Number.isInteger(count) || count < 1)) {
    faults.push(`a number of replicas is a whole number from 1 on (${text})`);
  }
  for (const dataCenter of replicas.keys()) {
    if (!/^[A-Za-z0-9_-]+$/.test(dataCenter)) faults.push(`${JSON.stringify(dataCenter)} cannot be a data center's name`);
  }
  if (!replicas.has(localDataCenter)) faults.push(`this node's data center ${localDataCenter} has no replicas (${text})`);
  return faults;
}

/** The replicas that a keyspace has, of the map that Cassandra shows; empty for a strategy that knows no data centers. */
export function replicasOf(replication: Readonly<Record<string, string>>): ReadonlyMap<string, number> {
  if (!(replication.class ?? "").endsWith("NetworkTopologyStrategy")) return new Map();
  // A number with transient replicas looks like 3/1: it is none, and must not pass for one.
  return new Map(
    Object.entries(replication)
      .filter(([key]) => key !== "class")
      .map(([dataCenter, count]) => [dataCenter, Number(count)]),
  );
}
