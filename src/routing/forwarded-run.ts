import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ForwardedRun, ForwardedRunSchema } from "../gen/meridian/v1/peer_pb.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { SubmitItem, SubmitRun } from "./leaders.ts";

/** What a waiting run, and each of its messages, costs beside the bytes it holds, roughly. */
const RUN_BYTES = 1_024;
const ITEM_BYTES = 64;

export function runToWire(request: number, run: SubmitRun): MessageInitShape<typeof ForwardedRunSchema> {
  const { conversation, producer, sender, aboveId, base } = run;
  return {
    request: BigInt(request),
    conversation,
    producer,
    sender,
    firstCounter: BigInt(run.firstCounter),
    items: run.items as SubmitItem[],
    aboveId,
    ...(base === undefined ? {} : { base: BigInt(base) }),
  };
}

export function runFromWire(wire: ForwardedRun): SubmitRun {
  const { conversation, producer, sender, items, aboveId, base } = wire;
  return {
    conversation,
    producer,
    sender,
    firstCounter: Number(wire.firstCounter),
    items,
    aboveId,
    ...(base === undefined ? {} : { base: Number(base) }),
  };
}

export function bytesOfRun(run: SubmitRun): number {
  let bytes = RUN_BYTES;
  for (const item of run.items) bytes += bytesOfItem(item);
  return bytes;
}

/** A client's frame may be as large as ours, and we add to it: a large run travels as several, in order. */
export function portionsOf(run: SubmitRun): readonly SubmitRun[] {
  const portions: SubmitRun[] = [];
  let begin = 0;
  let bytes = 0;
  for (const [i, item] of run.items.entries()) {
    const more = bytesOfItem(item);
    if (i > begin && bytes + more > LIMITS.deliveryBytes) {
      portions.push(portion(run, begin, i));
      begin = i;
      bytes = 0;
    }
    bytes += more;
  }
  return begin === 0 ? [run] : [...portions, portion(run, begin, run.items.length)];
}

function portion(run: SubmitRun, begin: number, end: number): SubmitRun {
  return { ...run, firstCounter: run.firstCounter + begin, items: run.items.slice(begin, end) };
}

function bytesOfItem(item: SubmitItem): number {
  return ITEM_BYTES + item.payload.length + item.key.length;
}
