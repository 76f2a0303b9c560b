import { describe, expect, it } from "vitest";
import { Backlog } from "../../../src/adapters/rpc/backlog.ts";
import { Inbox } from "../../../src/adapters/rpc/inbox.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";

describe("Backlog", () => {
  it("is full at the frame limit, and lets writers go on in runs, from half of it [G9]", async () => {
    const backlog = new Backlog();
    const answers = Array.from({ length: LIMITS.streamWindowFrames }, () => backlog.add(1));
    let drained = false;
    const waiting = backlog.drained().then(() => {
      drained = true;
    });

    expect(answers.indexOf(false)).toBe(LIMITS.streamWindowFrames - 1);
    for (let i = 0; i < LIMITS.streamWindowFrames / 2; i += 1) backlog.remove(1);
    await Promise.resolve();
    expect(drained).toBe(false);
    backlog.remove(1);
    await waiting;
  });

  it("is full at the byte limit, even by one frame [G9]", async () => {
    const backlog = new Backlog();

    expect(backlog.add(LIMITS.streamWindowBytes - 1)).toBe(true);
    expect(backlog.add(1)).toBe(false);
    backlog.end();
    await backlog.drained();
  });
});

describe("Inbox", () => {
  const frame = (n: number) => Uint8Array.of(n >> 8, n & 255);

  it("hands out thousands of frames in order although it never becomes empty", async () => {
    let taken = 0;
    const inbox = new Inbox((bytes) => {
      taken += bytes;
    });
    for (let i = 0; i < 10; i += 1) inbox.push(frame(i));
    const got: number[] = [];

    for await (const [high = 0, low = 0] of inbox) {
      got.push(high * 256 + low);
      if (got.length < 5_000) inbox.push(frame(got.length + 9));
      else if (got.length === 5_009) inbox.end();
    }

    expect(got).toEqual(Array.from({ length: 5_009 }, (_, i) => i));
    expect(taken).toBe(2 * 5_009);
    expect(inbox.unread).toEqual({ frames: 0, bytes: 0 });
  });

  it("drops what nobody will read, and gives its place free", async () => {
    let taken = 0;
    const inbox = new Inbox((bytes) => {
      taken += bytes;
    });
    for (let i = 0; i < 5; i += 1) inbox.push(frame(i));

    for await (const _ of inbox) break;
    inbox.push(frame(5));

    expect(taken).toBe(12);
    expect(inbox.unread).toEqual({ frames: 0, bytes: 0 });
  });

  it("loses what was not read when it is abandoned, and throws the first reason", async () => {
    const inbox = new Inbox(() => {});
    inbox.push(frame(1));

    inbox.abandon(new Error("first"));
    inbox.abandon(new Error("second"));
    inbox.end();

    await expect(inbox[Symbol.asyncIterator]().next()).rejects.toThrow("first");
  });
});
