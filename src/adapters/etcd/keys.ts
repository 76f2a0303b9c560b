import { invariant } from "../../kernel/errors.ts";

/**
 * The keys of one cluster: all under its prefix, as etcd knows them in bytes. Keys are well-formed UTF-8, so none holds the
 * byte 255, and the end of a prefix is its last byte plus one.
 */
export class ClusterKeys {
  readonly #prefix: Buffer;

  constructor(prefix: string) {
    invariant(prefix !== "", "a cluster's keys have a prefix");
    this.#prefix = Buffer.from(prefix);
  }

  encode(key: string): Buffer {
    return Buffer.concat([this.#prefix, Buffer.from(key)]);
  }

  decode(bytes: Buffer): string {
    return bytes.toString("utf8", this.#prefix.length);
  }

  /** The keys under `prefix`, after `after` (exclusive), as etcd's half-open range. */
  under(prefix: string, after?: string): { readonly key: Buffer; readonly range_end: Buffer } {
    const first = this.encode(prefix);
    const end = Buffer.from(first);
    end.writeUInt8((end.at(-1) as number) + 1, end.length - 1);
    if (after === undefined) return { key: first, range_end: end };
    const next = Buffer.concat([this.encode(after), Buffer.of(0)]);
    return { key: Buffer.compare(next, first) > 0 ? next : first, range_end: end };
  }
}
