import type { Followers } from "../feed/followers.ts";
import type { MeridianService } from "../gen/meridian/v1/client_pb.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation } from "../kernel/names.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { Watermark } from "../log/batch.ts";
import type { Handlers } from "../ports/network.ts";
import { watermarkToWire } from "../routing/watermark.ts";
import type { Gateway } from "./gateway.ts";
import { history } from "./history.ts";
import { type PageSource, Pages } from "./pages.ts";
import { send } from "./send.ts";
import { Session } from "./session.ts";
import { tail } from "./tail.ts";

/** Who leads a conversation, and how far it is. */
export interface Location {
  readonly home: string;
  readonly shard: number;
  /** The leading node, as far as this one knows. */
  readonly leader: string;
  readonly epoch: bigint;
  readonly head: Watermark;
}

export interface MeridianServiceOptions extends Omit<Gateway, "pages"> {
  readonly reader: PageSource;
  readonly followers: Followers;
  /** Unique ids in growing order. Throws CLOCK_UNSYNCED or UNAVAILABLE while the node may give out none. */
  readonly generateIds: (count: number) => Promise<readonly bigint[]>;
  readonly locate: (conversation: string) => Promise<Location>;
  /** Whether the node may lead and give out ids now. */
  readonly isServing: () => boolean;
}

export interface MeridianServiceParts {
  readonly handlers: Handlers<typeof MeridianService>;
  /** Tells all sessions to go on elsewhere, and takes no new ones. */
  drain(): void;
  /** How many sessions there are. */
  sessions(): number;
}

/** What a node does for its clients. */
export function createMeridianService(options: MeridianServiceOptions): MeridianServiceParts {
  const { clock } = options;
  const gateway: Gateway = { ...options, pages: new Pages({ source: options.reader, clock }) };
  const sessions = new Set<Session>();
  let draining: MeridianError | undefined;
  const inTime = <T>(what: string, work: Promise<T>, signal: AbortSignal) =>
    withDeadline(clock, LIMITS.callDeadlineMs, what, work, signal);

  const handlers: Handlers<typeof MeridianService> = {
    async session(stream, call) {
      if (draining !== undefined) throw draining;
      if (sessions.size >= LIMITS.sessionsPerNode) {
        throw new MeridianError("OVERLOADED", "this node has no room for another session", { retry: "elsewhere" });
      }
      const session = new Session(gateway, stream);
      sessions.add(session);
      try {
        await session.run(call.signal);
      } finally {
        sessions.delete(session);
      }
    },
    send: (request, call) => send(gateway, request, call.signal),
    tail: (request, call) => tail(gateway, request, call.signal),
    history: (request, call) => history(gateway, request, call.signal),
    async locate({ conversation }, call) {
      checkConversation(conversation);
      const { head, ...place } = await inTime("locating a conversation", options.locate(conversation), call.signal);
      return { ...place, head: watermarkToWire(head) };
    },
    async generateIds({ count }, call) {
      if (count > LIMITS.idsPerCall) {
        throw new MeridianError("INVALID_ARGUMENT", `count is ${count}; at most ${LIMITS.idsPerCall} are allowed`);
      }
      const ids = await inTime("generating ids", options.generateIds(Math.max(count, 1)), call.signal);
      return { ids: [...ids] };
    },
    async probe() {
      return { node: options.node, region: options.region, serving: draining === undefined && options.isServing() };
    },
  };

  return {
    handlers,
    drain() {
      if (draining !== undefined) return;
      draining = new MeridianError("UNAVAILABLE", `node ${options.node} is shutting down`, {
        retry: "elsewhere",
        advice: "Go on at another node; what has no outcome yet may or may not have been accepted: repeat it there.",
      });
      for (const session of sessions) session.goodbye(draining);
    },
    sessions: () => sessions.size,
  };
}
