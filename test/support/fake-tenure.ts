import type { Claim } from "../../src/membership/claim.ts";
import type { Tenure } from "../../src/membership/tenure.ts";

/** A right to lead whose look the test decides. */
export class FakeTenure implements Tenure {
  readonly conversation: string;
  readonly epoch: bigint;
  readonly claim: Claim;
  readonly fromHomeKey = false;
  holds = true;
  sealed = false;
  released = false;
  looks = 0;
  verdict: "superseded" | "own" | "rewound" = "superseded";
  /** The tenures that `renew` gave. */
  readonly renewals: FakeTenure[] = [];

  constructor(conversation: string, epoch: bigint, claim: Claim = fakeClaim()) {
    this.conversation = conversation;
    this.epoch = epoch;
    this.claim = claim;
  }

  look(): boolean {
    this.looks += 1;
    return this.holds && !this.released;
  }

  async renew(): Promise<Tenure | undefined> {
    this.holds = false;
    const next = new FakeTenure(this.conversation, this.epoch + 1n, this.claim);
    this.renewals.push(next);
    return next;
  }

  async confirm(): Promise<"superseded" | "own" | "rewound"> {
    return this.verdict;
  }

  async move(): Promise<{ kind: "lost" }> {
    this.holds = false;
    return { kind: "lost" };
  }

  release(): void {
    this.released = true;
  }
}

function fakeClaim(): Claim {
  return { key: "shards/local/0", region: "local", shard: 0, modRevision: 1 } as Claim;
}
