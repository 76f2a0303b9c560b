import { LIMITS } from "../../kernel/limits.ts";

interface Rule {
  readonly setting: string;
  readonly isGood: (value: string) => boolean;
  readonly wanted: string;
  readonly why: string;
}

const oneOf = (...values: readonly string[]) => ({
  isGood: (value: string) => values.includes(value),
  wanted: values.join(" or "),
});
const guardrail = (setting: string): Rule => ({
  setting,
  ...oneOf("null"),
  why: "the timestamps of checkpoints, cursors and epochs are their values, not clock readings",
});

/** The settings of a node (cassandra.yaml) that a guarantee depends on (R12). */
const RULES: readonly Rule[] = [
  {
    setting: "commitlog_sync",
    ...oneOf("batch", "group"),
    why: "under `periodic` a node answers before it has written, and a crash loses what was acknowledged",
  },
  {
    setting: "disk_failure_policy",
    ...oneOf("stop", "stop_paranoid", "die"),
    why: "a node that goes on without a disk answers that its rows do not exist",
  },
  {
    setting: "commit_failure_policy",
    ...oneOf("stop", "die"),
    why: "a node that goes on without its commit log acknowledges what it does not keep",
  },
  {
    setting: "reject_out_of_token_range_requests",
    ...oneOf("true"),
    why: "a node that mistakes what it is responsible for takes writes that no majority finds again",
  },
  {
    setting: "max_mutation_size",
    isGood: (value) => bytesOf(value) >= 2 * LIMITS.checkpointBytes,
    wanted: `${(2 * LIMITS.checkpointBytes) / 1024}KiB or more (commitlog_segment_size twice that)`,
    why: "it refuses the largest checkpoints for good",
  },
  guardrail("maximum_timestamp_fail_threshold"),
  guardrail("minimum_timestamp_fail_threshold"),
];

export const CHECKED_SETTINGS: readonly string[] = RULES.map(({ setting }) => setting);

/** What is wrong with a node's settings. One that the node does not have is none: an older version has no such guard. */
export function settingFaults(settings: ReadonlyMap<string, string>): readonly string[] {
  return RULES.flatMap(({ setting, isGood, wanted, why }) => {
    const value = settings.get(setting);
    return value === undefined || isGood(value) ? [] : [`${setting} is ${value}, not ${wanted}: ${why}`];
  });
}

/** `8192KiB`, as Cassandra writes sizes. */
function bytesOf(text: string): number {
  const [, number = "", unit = ""] = /^(\d+)([KMG]?i?B)?$/.exec(text) ?? [];
  const factors: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
  return number === "" ? Number.NaN : Number(number) * (factors[unit] ?? Number.NaN);
}
