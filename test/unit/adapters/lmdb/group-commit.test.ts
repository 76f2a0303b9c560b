import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Environment } from "../../../../src/adapters/lmdb/environment.ts";
import { GroupCommit } from "../../../../src/adapters/lmdb/group-commit.ts";
import { Deferred } from "../../../../src/kernel/deferred.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";

const KEY = Buffer.from("owner");
const NUMBER = Buffer.from("number of this start");

/** An LMDB whose commits end when, and how, the test says. */
class SlowEnvironment {
  readonly values = new Map<string, Uint8Array>([[KEY.toString(), NUMBER]]);
  readonly commits: Deferred<void>[] = [];
  #flowing = false;

  /** Ends all commits, also those to come. */
  flow(): void {
    this.#flowing = true;
    for (const commit of this.commits) commit.resolve();
  }

  async transaction<T>(work: () => T): Promise<T> {
    const commit = new Deferred<void>();
    this.commits.push(commit);
    if (this.#flowing) commit.resolve();
    const answer = work();
    await commit.promise;
    return answer;
  }

  get(key: Buffer): Uint8Array | undefined {
    return this.values.get(key.toString());
  }

  async put(key: Buffer, value: Uint8Array): Promise<boolean> {
    this.values.set(key.toString(), value);
    return true;
  }
}

describe("the group commit", () => {
  let environment: SlowEnvironment;
  let commits: GroupCommit;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    environment = new SlowEnvironment();
    const onLost = () => {
      throw new Error("nobody else opens this database");
    };
    commits = new GroupCommit(environment as unknown as Environment, "/data", { key: KEY, number: NUMBER, onLost });
  });
  afterEach(() => vi.useRealTimers());

  const put = (key: string) => commits.submit((transaction) => transaction.put("rows", Buffer.from(key), NUMBER), 0);
  const ends = (index: number) => environment.commits[index]?.resolve();

  it("gathers the next group while one is on its way to the disk", async () => {
    const first = put("a");
    const others = [put("b"), put("c"), put("d")];
    expect(environment.commits).toHaveLength(1);
    ends(0);
    await first;
    await vi.waitFor(() => expect(environment.commits).toHaveLength(2));
    ends(1);
    await Promise.all(others);
    expect(environment.commits).toHaveLength(2);
  });

  it("says what to do when a commit fails, and goes on with the next group", async () => {
    const failing = put("a");
    const next = put("b");
    const commitError = Promise.reject(Object.assign(new Error("Input/output error"), { code: 5 }));
    environment.commits[0]?.reject(Object.assign(new Error("Commit failed"), { commitError }));
    await expect(failing).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("Input/output error"),
      advice: expect.stringContaining("disk is full or failing"),
    });
    await vi.waitFor(() => expect(environment.commits).toHaveLength(2));
    ends(1);
    await next;
  });

  it("gives up on a disk that hangs, refuses what comes then, and takes writes again once it answers [G9]", async () => {
    const hanging = [put("a"), put("b")];
    vi.advanceTimersByTime(LIMITS.storeWriteMs);
    for (const write of hanging) await expect(write).rejects.toMatchObject({ code: "UNAVAILABLE", retry: "backoff" });
    await expect(put("c")).rejects.toMatchObject({ code: "UNAVAILABLE" });

    ends(0);
    await vi.waitFor(async () => {
      const again = put("d");
      ends(1);
      await again;
    });
  });

  it("refuses what the disk does not keep up with, and takes writes again when it has caught up [G9]", async () => {
    const MIB = 1024 * 1024;
    const writes = Array.from({ length: LIMITS.storeQueueBytes / MIB + 8 }, () => commits.submit(() => {}, MIB));
    const settled = Promise.allSettled(writes);
    environment.flow();
    const refused = (await settled).filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThanOrEqual(8);
    await put("later");
  });

  it("closes after what is on its way", async () => {
    const write = put("a");
    const closing = commits.close();
    await expect(put("b")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    ends(0);
    expect(await closing).toBe(true);
    await write;
  });

  it("closes without a disk that hangs, before or after closing begins [G9]", async () => {
    const write = put("a");
    const closing = commits.close();
    vi.advanceTimersByTime(LIMITS.storeWriteMs);
    expect(await closing).toBe(false);
    await expect(write).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await commits.close()).toBe(false);
  });
});
