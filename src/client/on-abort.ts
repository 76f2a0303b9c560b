/** What waits for each signal. One listener a signal, because runtimes take many of them for a leak: a signal may end a thousand sends. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `act` once when the signal is aborted, soon if it is already. The answer forgets it. */
export function onAbort(signal: AbortSignal | undefined, act: () => void): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    let isLive = true;
    queueMicrotask(() => isLive && act());
    return () => {
      isLive = false;
    };
  }
  const acts = waiting.get(signal) ?? listen(signal);
  acts.add(act);
  return () => {
    acts.delete(act);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const acts = new Set<() => void>();
  waiting.set(signal, acts);
  signal.addEventListener(
    "abort",
    () => {
      waiting.delete(signal);
      for (const act of [...acts]) act();
    },
    { once: true },
  );
  return acts;
}
