import { randomBytes } from "node:crypto";
import type { Random } from "../../ports/random.ts";

/** The operating system's randomness. */
export class SystemRandom implements Random {
  u32(): number {
    return randomBytes(4).readUInt32LE();
  }

  bytes(length: number): Uint8Array {
    return randomBytes(length);
  }
}
