/**
 * A conversation between regions that loses its leader in mid-sentence. Everybody waits until he has heard what was said
 * before he goes on, so the order of the lines is one of cause and effect. Only the sentence that is cut off by the loss is
 * said in one go, and somebody breaks the silence after it.
 */
import type { Message } from "../../index.ts";
import { sleep } from "../../kernel/timing.ts";
import { Latencies } from "./latencies.ts";
import { Outage, type OutageTools } from "./outage.ts";

export interface DemoLine {
  readonly region: string;
  readonly nick: string;
  readonly text: string;
}

export interface DemoOptions extends OutageTools {
  readonly conversation: string;
  /** Leads the conversation; senders there are the ones that are measured. */
  readonly region: string;
  readonly lines: readonly DemoLine[];
  /** So many of them are said before the region is lost, and so many of the next ones just then. */
  readonly calmLines: number;
  readonly cutOffLines: number;
  /** What happens, for the audience. */
  readonly say: (text: string) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface DemoReport {
  /** Acknowledgements of the region's own senders, while all is well. */
  readonly acks: Latencies;
  /** Of the same messages, by region. */
  readonly deliveries: ReadonlyMap<string, Latencies>;
  /** The longest time since the loss that the audience heard nothing. */
  readonly stallMs: number;
  /** What readers were handed, by region: `<seq> <nick>: <text>`. */
  readonly transcripts: ReadonlyMap<string, readonly string[]>;
  readonly problems: readonly string[];
}

/** Before a line, so that readers can follow. */
const TURN_MS = 50;
/** A line whose sender has not heard the ones before it by then is said all the same. */
const PATIENCE_MS = 15_000;
const POLL_MS = 10;

export class Demo {
  readonly #options: DemoOptions;
  readonly #acks = new Latencies();
  readonly #deliveries: ReadonlyMap<string, Latencies>;
  readonly #transcripts: ReadonlyMap<string, string[]>;
  readonly #sends: Promise<void>[] = [];
  readonly #problems: string[] = [];
  #killedMs = Number.POSITIVE_INFINITY;
  /** When the audience heard something last, and the longest time since the loss that it heard nothing. */
  #heardMs = 0;
  #stallMs = 0;
  /** Messages up to this seq are measured. */
  #measuredUpTo = 0;

  constructor(options: DemoOptions) {
    this.#options = options;
    this.#deliveries = new Map(options.fleet.regions.map((region) => [region, new Latencies()]));
    this.#transcripts = new Map(options.fleet.regions.map((region) => [region, []]));
  }

  async run(): Promise<DemoReport> {
    const { fleet, conversation, region, lines, calmLines, cutOffLines, say } = this.#options;
    const silentFrom = calmLines + cutOffLines;
    const backFrom = Math.ceil((silentFrom + lines.length) / 2);
    await fleet.read([conversation], (where, message) => this.#take(where, message));
    this.#measuredUpTo = Number.POSITIVE_INFINITY;
    await this.#talk(0, calmLines);
    await Promise.all(this.#sends);
    this.#measuredUpTo = this.#lines().length;

    const outage = await Outage.plan(this.#options, [conversation], region);
    for (const line of lines.slice(calmLines, silentFrom)) this.#send(line);
    await outage.kill();
    this.#killedMs = outage.killedMs;
    await say(`--- ${region} leads, and is lost with ${cutOffLines} messages on their way ---`);
    for (const line of lines.slice(silentFrom, silentFrom + 1)) this.#send(line);
    const [left] = await Promise.all([outage.ledElsewhere(), this.#talk(silentFrom + 1, backFrom)]);
    for (const name of left) this.#problems.push(`${name} was led nowhere else`);
    await say(`--- another region leads now; ${region} comes back ---`);
    await outage.restore();
    const back = outage.ledAgain();
    await this.#talk(backFrom, lines.length);
    if (!(await back)) this.#problems.push(`${region} does not lead again`);
    await Promise.all(this.#sends);
    this.#problems.push(...(await fleet.catchUp([conversation])));
    return {
      acks: this.#acks,
      deliveries: this.#deliveries,
      stallMs: this.#stallMs,
      transcripts: this.#transcripts,
      problems: this.#problems,
    };
  }

  async #talk(begin: number, end: number): Promise<void> {
    const { lines, clock, signal } = this.#options;
    for (const [at, line] of lines.entries()) {
      if (at < begin || at >= end || signal.aborted) continue;
      const endMs = clock.monotonicMs() + PATIENCE_MS;
      const heard = this.#transcripts.get(line.region) ?? [];
      while (heard.length < at && clock.monotonicMs() < endMs) await sleep(clock, POLL_MS, signal);
      await sleep(clock, TURN_MS, signal);
      this.#send(line);
    }
  }

  #send({ region, nick, text }: DemoLine): void {
    const { fleet, clock, conversation } = this.#options;
    const isMeasured = region === this.#options.region && this.#killedMs === Number.POSITIVE_INFINITY;
    const startedMs = clock.monotonicMs();
    const sending = fleet.client(region).producer({ sender: nick }).send(conversation, text);
    this.#sends.push(
      sending.then((outcome) => {
        if (outcome.status !== "committed") this.#problems.push(`${nick}'s ${JSON.stringify(text)} ended ${outcome.status}`);
        else if (isMeasured) this.#acks.add(clock.monotonicMs() - startedMs);
      }),
    );
  }

  #take(where: string, { seq, sender, body, sentAtMs }: Message): void {
    const { clock, lines, region } = this.#options;
    const text = Buffer.from(body).toString();
    this.#transcripts.get(where)?.push(`${seq} ${sender}: ${text}`);
    const from = lines.find(({ nick }) => nick === sender)?.region ?? "";
    if (from === region && seq <= this.#measuredUpTo) this.#deliveries.get(where)?.add(clock.wallMs() - sentAtMs);
    if (where === this.#audience) this.#hear(`${String(seq).padStart(3)}  ${sender} (${from}): ${text}`);
  }

  #hear(text: string): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs > this.#killedMs) this.#stallMs = Math.max(this.#stallMs, nowMs - Math.max(this.#heardMs, this.#killedMs));
    this.#heardMs = nowMs;
    void this.#options.say(text);
  }

  /** The reader that is shown: in the last region, far from the one that leads. */
  get #audience(): string | undefined {
    return this.#options.fleet.regions.at(-1);
  }

  #lines(): readonly string[] {
    return this.#transcripts.get(this.#audience ?? "") ?? [];
  }
}
