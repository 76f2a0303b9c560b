import { sleep } from "../../kernel/timing.ts";
import type { CliClock } from "../cli.ts";
import type { Output } from "../output.ts";

const WIDTH = 30;
const PAUSE_MS = 250;

/** Shows how far the work is, as long as it takes, to a person at a terminal. */
export async function withProgressBar<T>(
  { output, clock }: { readonly output: Output; readonly clock: CliClock },
  progress: () => { readonly done: number; readonly all: number; readonly text: string },
  work: Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const shown = show({ output, clock }, progress, over.signal);
  try {
    return await work;
  } finally {
    over.abort();
    await shown;
  }
}

async function show(
  { output, clock }: { readonly output: Output; readonly clock: CliClock },
  progress: () => { readonly done: number; readonly all: number; readonly text: string },
  over: AbortSignal,
): Promise<void> {
  while (output.isWatched && !over.aborted) {
    const { done, all, text } = progress();
    const share = all === 0 ? 1 : Math.min(1, done / all);
    const filled = Math.round(share * WIDTH);
    output.bar(`[${"#".repeat(filled)}${".".repeat(WIDTH - filled)}] ${Math.floor(share * 100)} % ${text}`);
    await sleep(clock, PAUSE_MS, over);
  }
  output.bar("");
}
