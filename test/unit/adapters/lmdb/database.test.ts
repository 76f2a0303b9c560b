import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Database } from "../../../../src/adapters/lmdb/database.ts";
import { MeridianError } from "../../../../src/kernel/errors.ts";

describe("the embedded database", () => {
  let directory: string;
  const opened: Database[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "meridian-database-"));
  });
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close();
    await rm(directory, { recursive: true });
  });

  const open = async (onOwnerLost: (error: MeridianError) => void = unexpected, path = join(directory, "node.data")) => {
    const database = await Database.open(path, { onOwnerLost });
    opened.push(database);
    return database;
  };
  const put = (database: Database, key: string, text: string) => database.write([{ put: ["rows", bytes(key), bytes(text)] }]);

  describe("a second open of the same directory", () => {
    it("takes over: the first owner's next write is refused, applied nowhere and reported once", async () => {
      const reports: MeridianError[] = [];
      const first = await open((error) => reports.push(error));
      await put(first, "a", "first");
      const second = await open();
      expect(get(second, "a")).toBe("first");

      await expect(put(first, "a", "zombie")).rejects.toMatchObject({ code: "UNAVAILABLE", retry: "never" });
      await expect(put(first, "b", "zombie")).rejects.toMatchObject({ code: "UNAVAILABLE", retry: "never" });
      expect(reports).toHaveLength(1);
      expect(reports[0]?.message).toContain("another process");

      await put(second, "c", "second");
      expect(["a", "b", "c"].map((key) => get(second, key))).toEqual(["first", undefined, "second"]);
    });

    it("also ends the first owner's reads that must be its own", async () => {
      let reports = 0;
      const first = await open(() => {
        reports += 1;
      });
      await open();
      await expect(first.transaction((transaction) => transaction.get("rows", bytes("a")))).rejects.toMatchObject({
        code: "UNAVAILABLE",
      });
      expect(reports).toBe(1);
    });

    it("lets a write that was on its way be either applied before it or refused", async () => {
      const first = await open(() => {});
      const writes = Array.from({ length: 50 }, (_, i) => put(first, `key ${i}`, "first"));
      const [second, ...ends] = await Promise.all([open(), ...writes.map((write) => write.then(() => true).catch(() => false))]);
      const applied = Array.from({ length: 50 }, (_, i) => get(second, `key ${i}`) === "first");
      expect(applied).toEqual(ends);
    });
  });

  describe("writes", () => {
    it("survive closing and opening", async () => {
      const first = await open();
      await Promise.all(Array.from({ length: 1_000 }, (_, i) => put(first, `key ${i}`, `value ${i}`)));
      await first.close();
      const second = await open();
      expect([...second.range("rows", bytes(""))]).toHaveLength(1_000);
      expect(get(second, "key 999")).toBe("value 999");
    });

    it("that come together share their transactions, and so their fsyncs", async () => {
      const database = await open();
      const before = await lastTransaction(directory);
      await Promise.all(Array.from({ length: 1_000 }, (_, i) => put(database, `key ${i}`, "value")));
      const used = (await lastTransaction(directory)) - before;
      expect(used).toBeGreaterThan(0);
      expect(used).toBeLessThan(10);
    });

    it("of one call are applied together or not at all", async () => {
      const database = await open();
      await put(database, "a", "old");
      const tooLong = new Uint8Array(5_000);
      await expect(
        database.write([{ put: ["rows", bytes("a"), bytes("new")] }, { put: ["rows", tooLong, bytes("x")] }]),
      ).rejects.toMatchObject({ code: "INTERNAL" });
      expect(get(database, "a")).toBe("old");
      await database.write([
        { put: ["rows", bytes("a"), bytes("new")] },
        { put: ["rows", bytes("b"), bytes("new")] },
        removeOf("a"),
      ]);
      expect([get(database, "a"), get(database, "b")]).toEqual([undefined, "new"]);
    });

    it("are refused after closing, as reads are", async () => {
      const database = await open();
      await database.close();
      await expect(put(database, "a", "late")).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(() => get(database, "a")).toThrow(MeridianError);
      expect(() => database.range("rows", bytes(""))).toThrow(MeridianError);
    });

    it("that were taken before closing are on the disk after it", async () => {
      const database = await open();
      const writing = put(database, "a", "in time");
      await database.close();
      await writing;
      expect(get(await open(), "a")).toBe("in time");
    });
  });

  describe("transactions", () => {
    it("read and write with nothing in between", async () => {
      const database = await open();
      const add = (present: Uint8Array | undefined) => bytes(String(Number(present === undefined ? 0 : text(present)) + 1));
      await Promise.all(Array.from({ length: 200 }, () => database.update("cursors", bytes("count"), add)));
      expect(text(database.get("cursors", bytes("count")))).toBe("200");
    });

    it("write nothing where the update answers undefined", async () => {
      const database = await open();
      await database.update("cursors", bytes("a"), () => undefined);
      expect(database.get("cursors", bytes("a"))).toBeUndefined();
    });

    it("leave nothing behind if they throw, and their neighbours in the group are committed", async () => {
      const database = await open();
      const [before, failing, after] = await Promise.allSettled([
        put(database, "a", "1"),
        database.transaction((transaction) => {
          transaction.put("rows", bytes("b"), bytes("2"));
          throw new MeridianError("CORRUPT", "the test says so");
        }),
        put(database, "c", "3"),
      ]);
      expect([before.status, failing.status, after.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(failing).toMatchObject({ reason: { code: "CORRUPT" } });
      expect(["a", "b", "c"].map((key) => get(database, key))).toEqual(["1", undefined, "3"]);
    });

    it("see the committed past, not their own writes, and one table", async () => {
      const database = await open();
      await database.write([
        { put: ["cursors", bytes("k1"), bytes("cursor")] },
        { put: ["rows", bytes("k1"), bytes("one")] },
        { put: ["rows", bytes("k2"), bytes("two")] },
        { put: ["rows", bytes("k3"), bytes("three")] },
        { put: ["checkpoints", bytes("k1"), bytes("checkpoint")] },
      ]);
      const seen = await database.transaction((transaction) => {
        transaction.put("rows", bytes("k1"), bytes("changed"));
        return {
          one: text(transaction.get("rows", bytes("k1"))),
          all: [...transaction.range("rows", bytes(""))].map(({ key, value }) => `${text(key)}=${text(value)}`),
          some: [...transaction.keys("rows", bytes("k1"), bytes("k3"))].map(text),
        };
      });
      expect(seen).toEqual({ one: "one", all: ["k1=one", "k2=two", "k3=three"], some: ["k1", "k2"] });
      expect(get(database, "k1")).toBe("changed");
    });
  });

  it("finds the last entry of a range, with the end left out", async () => {
    const database = await open();
    for (const key of ["a1", "a2", "b1"]) await put(database, key, `value of ${key}`);
    expect(text(database.last("rows", bytes("a"), bytes("b"))?.value)).toBe("value of a2");
    expect(text(database.last("rows", bytes("a"), bytes("b1"))?.value)).toBe("value of a2");
    expect(text(database.last("rows", bytes("a1"), bytes("a2"))?.value)).toBe("value of a1");
    expect(text(database.last("rows", bytes("a"))?.value)).toBe("value of b1");
    expect(database.last("rows", bytes("b2"), bytes("c"))).toBeUndefined();
    expect(database.last("checkpoints", bytes(""))).toBeUndefined();
  });

  describe("a data directory that cannot be used is refused with what to do about it:", () => {
    const refused = async (path: string) => {
      const error = await open(unexpected, path).then(
        () => undefined,
        (thrown: unknown) => MeridianError.from(thrown),
      );
      expect(error).toMatchObject({ code: "UNAVAILABLE", retry: "never" });
      return `${error?.message} ${error?.advice}`;
    };

    it("a file in its place", async () => {
      const path = join(directory, "file");
      await writeFile(path, "hello");
      expect(await refused(path)).toContain("Give the path of a directory");
      expect(await refused(join(path, "below"))).toContain("Give the path of a directory");
    });

    it("a data file that is not ours, which is left as it is", async () => {
      const foreign = join(directory, "foreign");
      await mkdir(foreign);
      await writeFile(join(foreign, "data.mdb"), Buffer.alloc(9_000, 9));
      expect(await refused(foreign)).toContain("not a database of Meridian");
      expect(await readFile(join(foreign, "data.mdb"))).toEqual(Buffer.alloc(9_000, 9));
    });

    it("a data file cut short", async () => {
      const cut = join(directory, "cut");
      await mkdir(cut);
      await writeFile(join(cut, "data.mdb"), Buffer.alloc(10));
      expect(await refused(cut)).toContain("do not delete it");
    });

    it("data of a later version, whose owner stays the owner", async () => {
      const owner = await open();
      await owner.write([{ put: ["meta", bytes("format"), bytes("2")] }]);
      expect(await refused(join(directory, "node.data"))).toContain("data format 2");
      await put(owner, "a", "still the owner");
    });
  });
});

function unexpected(error: MeridianError): void {
  throw error;
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value);
}

function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString();
}

function get(database: Database, key: string): string | undefined {
  return text(database.get("rows", bytes(key)));
}

function removeOf(key: string) {
  return { remove: ["rows", bytes(key)] } as const;
}

/** The number of the last committed transaction, as the newer of LMDB's two meta pages has it. */
async function lastTransaction(directory: string): Promise<number> {
  const file = await readFile(join(directory, "node.data", "data.mdb"));
  const pageBytes = file.readUInt32LE(0x30);
  return Math.max(Number(file.readBigUInt64LE(0x98)), Number(file.readBigUInt64LE(pageBytes + 0x98)));
}
