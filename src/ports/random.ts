/** Randomness for jitter, nonces and producer sessions. The simulator's is seeded. */
export interface Random {
  /** A uniform integer in 0 ≤ x < 2³². */
  u32(): number;

  /** `length` uniform bytes, unpredictable in production. */
  bytes(length: number): Uint8Array;
}
