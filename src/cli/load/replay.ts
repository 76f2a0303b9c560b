import { MeridianError } from "../../kernel/errors.ts";
import type { RecordedClient } from "../../verify/recorded-client.ts";
import type { Recorder } from "../../verify/recorder.ts";
import type { TranscriptLine } from "../../verify/transcript.ts";
import type { CliClock } from "../cli.ts";
import type { Breaker } from "./breaker.ts";
import type { ChatScript } from "./chat-script.ts";
import type { Fleet } from "./fleet.ts";
import { Gate } from "./gate.ts";
import { LeaderKills } from "./leader-kills.ts";
import { Tally } from "./tally.ts";
import { eachOf, Window } from "./window.ts";

export interface KillPlan {
  readonly breaker: Breaker;
  /** Shares of the progress. */
  readonly atPercent: readonly number[];
  readonly restoreAfterMs: number;
}

export interface ReplayOptions {
  readonly clock: CliClock;
  readonly recorder: Recorder;
  readonly fleet: Fleet;
  readonly scripts: readonly ChatScript[];
  /** Sends of a conversation that have no end yet. */
  readonly window: number;
  readonly kills?: KillPlan;
  /** No new sends once it is aborted; what is under way ends. */
  readonly signal: AbortSignal;
}

/**
 * Sends of all conversations together that have no end yet. Nodes that share a machine with us are kept busy by far fewer; more
 * would only wait in them, and what waits makes every turn of their loops longer, renewals of leases included.
 */
const IN_FLIGHT_MAX = 512;
const RESOLVED_AT_ONCE = 16;

/** Says chat logs again: every nick as a sender of its own, all conversations at once, each nick's lines in their order. */
export class Replay {
  readonly tally: Tally;
  readonly kills: LeaderKills | undefined;
  readonly messages: number;
  readonly #options: ReplayOptions;
  readonly #gate = new Gate();
  readonly #windows: ReadonlyMap<string, Window>;
  readonly #unknown: { readonly client: RecordedClient; readonly retryKey: string }[] = [];
  #hasFailed = false;
  #startedMs = 0;
  #sentMs: number | undefined;
  /** Readers that did not come to the head. */
  #behind: readonly string[] = [];

  constructor(options: ReplayOptions) {
    const { scripts, fleet, window, kills } = options;
    this.#options = options;
    this.tally = new Tally(fleet.regions);
    this.messages = scripts.reduce((sum, { lines }) => sum + lines.length, 0);
    const limit = Math.max(1, Math.min(window, Math.floor(IN_FLIGHT_MAX / scripts.length)));
    this.#windows = new Map(scripts.map(({ conversation }) => [conversation, new Window(limit)]));
    if (kills === undefined) return;
    this.kills = new LeaderKills({
      ...options,
      ...kills,
      conversations: [...this.#windows.keys()],
      tally: this.tally,
      gate: this.#gate,
      inFlight: (names) => [...names].reduce((sum, name) => sum + (this.#windows.get(name)?.inside ?? 0), 0),
      messages: this.messages,
    });
  }

  /** From the first send to the last end, or until now. */
  get tookMs(): number {
    return (this.#sentMs ?? this.#options.clock.monotonicMs()) - this.#startedMs;
  }

  get behind(): readonly string[] {
    return this.#behind;
  }

  /** Resolves when all has been said, settled and read. Throws when the record cannot be written, or a region not be broken. */
  async run(): Promise<void> {
    const { fleet, clock, scripts } = this.#options;
    const conversations = [...this.#windows.keys()];
    await fleet.read(conversations, (region, { sentAtMs }) => this.tally.delivered(region, clock.wallMs() - sentAtMs));
    this.#startedMs = clock.monotonicMs();
    const said = eachOf(scripts, scripts.length, (script) => this.#say(script)).finally(() => this.tally.over());
    const ends = await Promise.allSettled([said, this.kills?.run()]);
    this.#sentMs = clock.monotonicMs();
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    await eachOf(this.#unknown, RESOLVED_AT_ONCE, async ({ client, retryKey }) => {
      this.tally.resolved(await client.resolve(retryKey));
    });
    this.#behind = await fleet.catchUp(conversations);
  }

  async #say({ conversation, lines }: ChatScript): Promise<void> {
    const window = this.#windows.get(conversation) as Window;
    const { recorder, signal } = this.#options;
    try {
      for (const line of lines) {
        await window.enter();
        await this.#gate.passed();
        if (signal.aborted || this.#hasFailed) {
          window.leave();
          break;
        }
        await recorder.room();
        void this.#send(conversation, line, window);
      }
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    } finally {
      await window.empty();
    }
  }

  /** Never throws: what cannot be sent is an end as well. */
  async #send(conversation: string, { nick, text }: TranscriptLine, window: Window): Promise<void> {
    const { fleet, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    try {
      const { client, producer } = fleet.sender(nick);
      const outcome = await producer.send(conversation, text);
      this.tally.ended(outcome, clock.monotonicMs() - startedMs);
      if (outcome.status === "unknown") this.#unknown.push({ client, retryKey: outcome.retryKey });
    } catch (thrown) {
      this.tally.ended({ status: "rejected", error: MeridianError.from(thrown) }, clock.monotonicMs() - startedMs);
    } finally {
      window.leave();
    }
  }
}
