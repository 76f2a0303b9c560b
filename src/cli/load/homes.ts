import type { EmulatedRegions } from "../../index.ts";
import { Deferred } from "../../kernel/deferred.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { withDeadline } from "../../kernel/timing.ts";
import type { Cli, ClientFlags } from "../cli.ts";
import type { Home } from "./fleet.ts";

/** Where a load's clients live. */
export interface Homes {
  readonly homes: readonly Home[];
  /** Where the regions are emulated: they can be broken then. */
  readonly emulated: EmulatedRegions | undefined;
}

/** All regions of one process, or of a cluster; or, where nodes are named, the one region that they stand in. */
export async function homesOf(cli: Cli, flags: ClientFlags): Promise<Homes> {
  const cluster = cli.clusterOf(flags);
  if (cluster !== undefined) {
    const homes = cluster.regions.map((region) => ({ region, endpoints: cluster.endpointsFrom(region) }));
    return { homes, emulated: undefined };
  }
  const endpoints = cli.namedEndpoints(flags);
  if (endpoints !== undefined) return { homes: [{ region: await regionAt(cli, endpoints), endpoints }], emulated: undefined };
  const emulated = await emulatedBy(cli, flags);
  return { homes: homesIn(emulated), emulated };
}

export function homesIn({ regions }: EmulatedRegions): readonly Home[] {
  return regions.map(({ region, routes }) => ({ region, endpoints: routes.map(({ address }) => address) }));
}

/** Throws INVALID_ARGUMENT where nothing is emulated. */
export async function emulatedBy(cli: Cli, flags: ClientFlags): Promise<EmulatedRegions> {
  try {
    return await cli.withAdmin(flags, (admin) => admin.regions());
  } catch (thrown) {
    const error = MeridianError.from(thrown);
    if (error.code !== "INVALID_ARGUMENT") throw error;
    throw new MeridianError("INVALID_ARGUMENT", `the node does not emulate regions: ${error.message}`, {
      advice: "Start three regions with `meridian start`, or name the nodes of one region with --endpoint where that is taken.",
      cause: error,
    });
  }
}

/** The nodes say themselves where they stand. */
async function regionAt(cli: Cli, endpoints: readonly string[]): Promise<string> {
  return cli.withClient({ endpoint: endpoints }, {}, async (client) => {
    const named = new Deferred<string>();
    const look = () => {
      if (client.state.status === "ready") named.resolve(client.state.region);
    };
    client.on("state", look);
    look();
    const { clock, signal } = cli.context;
    return withDeadline(clock, LIMITS.callDeadlineMs, "connecting to a node", named.promise, signal);
  });
}
