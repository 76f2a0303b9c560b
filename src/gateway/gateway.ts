import type { Followers } from "../feed/followers.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogStore } from "../ports/log-store.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Leaders } from "../routing/leaders.ts";
import type { Pages } from "./pages.ts";

/** What all calls of one node's clients share. */
export interface Gateway {
  /** The node's name and region, as clients are told. */
  readonly node: string;
  readonly region: string;
  /** The largest body that is taken. */
  readonly bodyBytesMax: number;
  readonly leaders: Leaders;
  readonly followers: Followers;
  readonly pages: Pages;
  readonly store: LogStore;
  /** Throws CLOCK_UNSYNCED or UNAVAILABLE while the node may give out no ids. */
  readonly newProducerId: () => Promise<bigint>;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}
