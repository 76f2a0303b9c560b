import { MeridianError } from "../../kernel/errors.ts";
import type { Timers } from "../../kernel/timing.ts";

export interface Ask<T> {
  readonly region: string;
  readonly answer: Promise<T>;
}

export interface GatherOptions<T> {
  readonly what: string;
  readonly asks: readonly Ask<T>[];
  /** How many answers are enough. */
  readonly needed: number;
  readonly timers: Timers;
  readonly withinMs: number;
  /** Called once, when every region has answered or failed, however late. */
  readonly settled?: (failed: readonly string[]) => void;
}

/**
 * The first `needed` answers, in the order of their coming. Throws UNAVAILABLE as soon as there cannot be as many any more,
 * and when the time is up; answers that come later still count for `settled`.
 */
export function gather<T>(options: GatherOptions<T>): Promise<readonly T[]> {
  const { what, asks, needed, timers, withinMs } = options;
  return new Promise((resolve, reject) => {
    const answers: T[] = [];
    const failures: { readonly region: string; readonly error: MeridianError }[] = [];
    const giveUp = (why: string) => {
      const found = [why, ...failures.map(({ region, error }) => `${region}: ${error.message}`)];
      const message = `${what}: ${answers.length} of ${needed} needed replicas answered (${found.join("; ")})`;
      reject(new MeridianError("UNAVAILABLE", message, { cause: failures[0]?.error }));
    };
    const cancel = timers.after(withinMs, () => giveUp(`the ${withinMs} ms are over`));
    const decide = () => {
      if (answers.length === needed) {
        cancel();
        resolve([...answers]);
      } else if (failures.length === asks.length - needed + 1) {
        cancel();
        giveUp(`${asks.length} replicas in all`);
      }
      if (answers.length + failures.length === asks.length) options.settled?.(failures.map(({ region }) => region));
    };
    for (const { region, answer } of asks) {
      answer.then(
        (value) => {
          answers.push(value);
          decide();
        },
        (error: unknown) => {
          failures.push({ region, error: MeridianError.from(error) });
          decide();
        },
      );
    }
  });
}
