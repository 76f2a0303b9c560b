import type { EpochChange } from "../src/verify/record.ts";

/**
 * The changes of several faults at once as one for each conversation. Both faults may have befallen the same leader: written
 * down one after the other, the second would begin below where the first ended.
 */
export function mergedEpochs(changes: readonly EpochChange[]): readonly EpochChange[] {
  const merged = new Map<string, { before: bigint; after: bigint }>();
  for (const { conversation, before, after } of changes) {
    const known = merged.get(conversation) ?? { before: BigInt(before), after: BigInt(after) };
    if (BigInt(before) < known.before) known.before = BigInt(before);
    if (BigInt(after) > known.after) known.after = BigInt(after);
    merged.set(conversation, known);
  }
  return [...merged].map(([conversation, { before, after }]) => ({ conversation, before: String(before), after: String(after) }));
}
