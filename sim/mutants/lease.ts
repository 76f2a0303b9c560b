/** The node's lease (§5). */
import type { Mutant } from "./mutant.ts";

export const LEASE: readonly Mutant[] = [
  {
    name: "lease-on-wall-clock-alone",
    what: "The lease's deadline is looked at on the wall clock alone.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "clock.monotonicMs() < this.#deadline.monotonicMs && clock.wallMs()",
        replace: "clock.wallMs()",
      },
      {
        file: "src/membership/lease.ts",
        find: "return Math.min(this.#deadline.monotonicMs - monotonicMs, this.#deadline.wallMs - wallMs);",
        replace: "return monotonicMs >= 0 ? this.#deadline.wallMs - wallMs : 0;",
      },
    ],
  },
  {
    name: "lease-on-monotonic-clock-alone",
    what: "The lease's deadline is looked at on the monotonic clock alone.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "if (clock.monotonicMs() < this.#deadline.monotonicMs && clock.wallMs() < this.#deadline.wallMs) return true;",
        replace: "if (clock.monotonicMs() < this.#deadline.monotonicMs) return true;",
      },
      {
        file: "src/membership/lease.ts",
        find: "return Math.min(this.#deadline.monotonicMs - monotonicMs, this.#deadline.wallMs - wallMs);",
        replace: "return wallMs >= 0 ? this.#deadline.monotonicMs - monotonicMs : 0;",
      },
    ],
  },
  {
    name: "lease-without-margin",
    what: "The deadline is the lease's TTL, without the margin.",
    patches: [
      { file: "src/membership/lease.ts", find: "Math.min(ttlMs, answeredMs) - marginMs", replace: "Math.min(ttlMs, answeredMs)" },
    ],
  },
  {
    name: "lease-from-receipt",
    what: "The deadline counts from when the answer came.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "this.#deadline = deadlineOf(this.#options, sent, answer.ttlMs);",
        replace: "this.#deadline = deadlineOf(this.#options, now(this.#options.clock), answer.ttlMs);",
      },
    ],
  },
  {
    name: "late-renewal",
    what: "A renewal that is answered after the deadline brings the lease back.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "    if (!this.alive()) return;\n    this.#deadline",
        replace: "    this.#deadline",
      },
      { file: "src/membership/lease.ts", find: "calls.renew(this.id, this.leftMs())", replace: "calls.renew(this.id, 9_999)" },
      {
        file: "src/membership/lease.ts",
        find: "{ ranges: [{ key: keys.placement }] }, this.leftMs())",
        replace: "{ ranges: [{ key: keys.placement }] })",
      },
      {
        file: "src/membership/lease.ts",
        find: "    this.#deadline = undefined;\n    return false;",
        replace: "    return false;",
      },
    ],
  },
  {
    name: "deposed-answer-accepted",
    what: "A renewal that a deposed leader of the coordinator answered counts.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "if (read.header.term !== answer.header.term) {",
        replace: "if (read.header.term < 0) {",
      },
    ],
  },
];
