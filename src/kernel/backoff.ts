export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Full jitter: a uniform pause between 0 and `firstMs · 2^tries`, at most `maxMs`. `tries` counts from 0; `u32` is a uniform draw. */
export function backoffMs(tries: number, options: BackoffOptions, u32: number): number {
  const ceiling = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(tries, 30));
  return (u32 / 2 ** 32) * ceiling;
}
