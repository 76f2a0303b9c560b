import { Client, types } from "cassandra-driver";
import { LIMITS } from "../src/kernel/limits.ts";
import type { CassandraPlace } from "../test/support/cassandra.ts";
import { Batches } from "./batches.ts";

/** An append as the adapter or the bare driver makes it. */
export type Append = (conversation: string, firstSeq: number, bytes: Uint8Array) => Promise<unknown>;

const EPOCH = 1n;

/** What Meridian is measured beside: the driver as whoever reads its manual uses it. Prepared, token aware, in the own data center. */
export class BareDriver {
  readonly #client: Client;
  readonly #cql: string;

  constructor({ contactPoints, port, localDataCenter }: CassandraPlace, keyspace: string) {
    this.#client = new Client({
      contactPoints: [...contactPoints],
      localDataCenter,
      protocolOptions: { port },
      encoding: { useBigIntAsLong: true },
    });
    this.#cql = `INSERT INTO ${keyspace}.batches (conversation, bucket, first_seq, epoch, bytes) VALUES (?, ?, ?, ?, ?)`;
  }

  /** A write at QUORUM over all data centers. */
  append(conversation: string, firstSeq: number, bytes: Uint8Array): Promise<unknown> {
    const bucket = BigInt(Math.floor((firstSeq - 1) / LIMITS.bucketMessages));
    const row = [conversation, bucket, BigInt(firstSeq), EPOCH, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)];
    return this.#client.execute(this.#cql, row, { prepare: true, isIdempotent: true, consistency: types.consistencies.quorum });
  }

  close(): Promise<void> {
    return this.#client.shutdown();
  }
}

/** What a leader would write for so many messages. */
export function batchOf(messages: number, bodyBytes: number): Uint8Array {
  return new Batches({ conversation: "shape", messages, bodyBytes, epoch: EPOCH }).next().bytes;
}
