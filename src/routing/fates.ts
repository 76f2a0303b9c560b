import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FateRun, FateRunSchema, Fates } from "../gen/meridian/v1/peer_pb.ts";
import { fromErrorDetail, toErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import type { Fate } from "./leaders.ts";

/** Neighbouring messages with a common fate. */
export interface JoinedFates {
  count: number;
  /** The fate of the first message. */
  readonly fate: Fate;
}

type FateOnWire = NonNullable<MessageInitShape<typeof FateRunSchema>["fate"]>;

/** Whether this fate goes on where these end: seqs and ids are consecutive, or the error is the same. */
export function goesOn({ count, fate: first }: JoinedFates, fate: Fate): boolean {
  if (first.kind === "refused") return fate.kind === "refused" && fate.error === first.error;
  if (fate.kind !== first.kind) return false;
  return fate.seq === first.seq + count && fate.id === first.id + BigInt(count);
}

/** The fates as few runs as possible. */
export function fatesToWire(fates: readonly Fate[]): MessageInitShape<typeof FateRunSchema>[] {
  const runs: JoinedFates[] = [];
  for (const fate of fates) {
    const last = runs.at(-1);
    if (last !== undefined && goesOn(last, fate)) last.count += 1;
    else runs.push({ count: 1, fate });
  }
  return runs.map(({ count, fate }) => ({ count, fate: fateToWire(fate) }));
}

/** The fates of `count` messages. Throws INTERNAL if there are more or fewer, or one of them is none. */
export function fatesFromWire(wire: Fates, count: number): readonly Fate[] {
  let told = 0;
  for (const run of wire.runs) told += run.count;
  if (told !== count) throw new MeridianError("INTERNAL", `a leader gave ${told} fates for ${count} messages`);
  return wire.runs.flatMap(fatesOf);
}

function fatesOf({ count, fate }: FateRun): Fate[] {
  switch (fate.case) {
    case "placed":
    case "skipped": {
      const { seq, id } = fate.value;
      return Array.from({ length: count }, (_, i) => ({ kind: fate.case, seq: Number(seq) + i, id: id + BigInt(i) }));
    }
    case "error":
      return new Array<Fate>(count).fill({ kind: "refused", error: fromErrorDetail(fate.value) });
    case undefined:
      throw new MeridianError("INTERNAL", "a leader gave a fate that this version does not know");
  }
}

/** A fate as it stands in peer.proto and, with the same shape, in client.proto. */
export function fateToWire(fate: Fate): FateOnWire {
  if (fate.kind === "refused") return { case: "error", value: toErrorDetail(fate.error) };
  return { case: fate.kind, value: { seq: BigInt(fate.seq), id: fate.id } };
}
