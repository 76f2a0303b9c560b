import { invariant, MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { BoundedQueue } from "../../kernel/queue.ts";
import type { Header, WatchAnswer, WatchEvent } from "../../ports/coordinator.ts";
import type { Change, KeySpace } from "./key-space.ts";
import { keyOf } from "./key-space.ts";

interface Watcher {
  readonly prefix: string;
  readonly fromRevision: number;
  readonly queue: BoundedQueue<WatchAnswer>;
}

/** Hands a key space's changes to those who watch it, once they have been published, in order. */
export class Watches {
  readonly #keySpace: KeySpace;
  readonly #header: (revision: number) => Header;
  readonly #watchers = new Set<Watcher>();
  #published: number;
  #closed: MeridianError | undefined;

  constructor(keySpace: KeySpace, header: (revision: number) => Header) {
    this.#keySpace = keySpace;
    this.#header = header;
    this.#published = keySpace.revision;
  }

  /** How many loops are watching now. */
  get size(): number {
    return this.#watchers.size;
  }

  /** Call it once for each change, in the order of their revisions, when the change may be seen. */
  publish(change: Change): void {
    invariant(change.revision > this.#published, "changes are published in order");
    this.#published = change.revision;
    for (const watcher of this.#watchers) {
      if (change.revision < watcher.fromRevision) continue;
      const events = eventsUnder(watcher.prefix, change);
      if (events.length === 0 || watcher.queue.push({ header: this.#header(change.revision), events })) continue;
      this.#watchers.delete(watcher);
      watcher.queue.close(truncated(`the watch of ${watcher.prefix} fell ${LIMITS.coordinatorWatchQueue} changes behind`));
    }
  }

  /** As the port's `watch`. It begins with the loop; leaving the loop releases it, as the iterator's `return` does while one waits. */
  watch(prefix: string, fromRevision: number): AsyncIterable<WatchAnswer> {
    return { [Symbol.asyncIterator]: () => this.#begin(prefix, fromRevision) };
  }

  /** Ends all watches with this error; later ones throw it at once. */
  close(error: MeridianError): void {
    this.#closed ??= error;
    for (const watcher of this.#watchers) watcher.queue.close(error);
    this.#watchers.clear();
  }

  #begin(prefix: string, fromRevision: number): AsyncIterator<WatchAnswer, void, undefined> {
    invariant(fromRevision > 0, "a watch begins at a revision above 0");
    const watcher = { prefix, fromRevision, queue: new BoundedQueue<WatchAnswer>(LIMITS.coordinatorWatchQueue) };
    this.#fillWithPast(watcher);
    const steps = watcher.queue[Symbol.asyncIterator]();
    let left = false;
    return {
      next: async () => (left ? { done: true, value: undefined } : steps.next()),
      // An async generator would keep a `return` waiting behind a `next` that waits for an event: for ever, perhaps.
      return: async () => {
        left = true;
        this.#watchers.delete(watcher);
        watcher.queue.close();
        return { done: true, value: undefined };
      },
    };
  }

  /** All of the past is one answer, so that it needs one place in the queue, however long it is. */
  #fillWithPast(watcher: Watcher): void {
    const past = this.#keySpace.changesFrom(watcher.fromRevision);
    if (this.#closed !== undefined) {
      watcher.queue.close(this.#closed);
    } else if (past === "compacted") {
      watcher.queue.close(
        truncated(`the changes of ${watcher.prefix} from revision ${watcher.fromRevision} on are no longer kept`),
      );
    } else {
      const seen = past.filter((change) => change.revision <= this.#published);
      const events = seen.flatMap((change) => eventsUnder(watcher.prefix, change));
      if (events.length > 0) watcher.queue.push({ header: this.#header(this.#published), events });
      this.#watchers.add(watcher);
    }
  }
}

function eventsUnder(prefix: string, change: Change): WatchEvent[] {
  return change.events.filter((event) => keyOf(event).startsWith(prefix));
}

function truncated(message: string): MeridianError {
  return new MeridianError("TRUNCATED", message, { advice: "List the keys again and watch from the list's revision + 1." });
}
