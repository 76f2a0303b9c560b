/** So many at once; the others wait. */
export class Window {
  readonly #limit: number;
  #inside = 0;
  readonly #waiting: (() => void)[] = [];
  #wakeEmpty: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get inside(): number {
    return this.#inside;
  }

  /** Resolves once there is room, and takes it. */
  async enter(): Promise<void> {
    while (this.#inside >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#inside += 1;
  }

  leave(): void {
    this.#inside -= 1;
    this.#waiting.shift()?.();
    if (this.#inside === 0) for (const wake of this.#wakeEmpty.splice(0)) wake();
  }

  /** Resolves once nobody is inside. */
  async empty(): Promise<void> {
    if (this.#inside > 0) await new Promise<void>((resolve) => this.#wakeEmpty.push(resolve));
  }
}

/** Does the work for each item, `limit` of them at a time. Throws the first failure, once nothing is under way any more. */
export async function eachOf<T>(items: Iterable<T>, limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const window = new Window(limit);
  const failures: unknown[] = [];
  const one = async (item: T) => {
    try {
      await work(item);
    } catch (error) {
      failures.push(error);
    } finally {
      window.leave();
    }
  };
  for (const item of items) {
    await window.enter();
    if (failures.length > 0) {
      window.leave();
      break;
    }
    void one(item);
  }
  await window.empty();
  if (failures.length > 0) throw failures[0];
}
