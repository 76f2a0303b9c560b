import type { Command } from "commander";
import type { Client, Outcome } from "../../index.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { withDeadline } from "../../kernel/timing.ts";
import { addClientFlags, addExamples, type Cli, type ClientFlags, integer } from "../cli.ts";
import { EXIT, exitCodeOf } from "../exit-code.ts";
import { errorFacts } from "../output.ts";

interface SendFlags extends ClientFlags {
  readonly sender?: string;
  readonly type?: string;
  readonly key?: string;
  readonly timeout: number;
}

const TIMEOUT_S = 10;
/** How long a line that is ready to be printed waits for where the message went. */
const WAY_MS = 1_000;

export function addSend(program: Command, cli: Cli): void {
  const command = program
    .command("send")
    .description("send one message and say how that ended")
    .argument("<conversation>", "such as standup, or standup@eu-west")
    .argument("<text>", "the message; - reads it from the standard input")
    .option("-s, --sender <name>", "who sends (default: $USER, or anonymous)")
    .option(
      "-t, --type <type>",
      "what the message is, such as text/markdown (default: text/plain for an argument, nothing for -)",
    )
    .option("-k, --key <key>", "of several messages with one key only one is accepted, over the last 65,536")
    .option(
      "--timeout <seconds>",
      `give up after this long (default: ${TIMEOUT_S})`,
      integer(1, LIMITS.sendAgeMs / 1000),
      TIMEOUT_S,
    );
  addClientFlags(command).action((conversation: string, text: string, flags: SendFlags) => send(cli, conversation, text, flags));
  addExamples(
    command,
    'meridian send standup "good morning"',
    "meridian send standup - --type text/markdown < report.md",
    "meridian send orders '{\"id\":7}' --sender shop --key order-7   # at most once, however often it is run",
  );
}

export function addResolve(program: Command, cli: Cli): void {
  const command = program
    .command("resolve")
    .description("settle a send whose outcome was unknown: it is committed, or it never will be")
    .argument("<retry-key>", "what `meridian send` printed")
    .option("--timeout <seconds>", "give up after this long", integer(1, LIMITS.sendAgeMs / 1000), TIMEOUT_S);
  addClientFlags(command).action(async (retryKey: string, flags: ClientFlags & { readonly timeout: number }) => {
    cli.open(flags);
    const { signal } = cli.context;
    await cli.withClient(flags, {}, async (client) => {
      await tell(cli, undefined, () => client.resolve(retryKey, { signal, deadlineMs: flags.timeout * 1000 }));
    });
  });
  addExamples(command, "meridian resolve WzEsIjcyMDU3NTk0MDM3OTI3OTM2Iiw3LCJhZGEiLCJzdGFuZHVwIl0");
}

async function send(cli: Cli, conversation: string, text: string, flags: SendFlags): Promise<void> {
  cli.open(flags);
  const { environment, stdin, signal } = cli.context;
  const sender = flags.sender ?? (environment.USER || "anonymous");
  const body = text === "-" ? await readAll(stdin) : text;
  const type = flags.type ?? (text === "-" ? "" : "text/plain");
  const options = { type, signal, deadlineMs: flags.timeout * 1000, ...(flags.key === undefined ? {} : { key: flags.key }) };
  await cli.withClient(flags, { sender }, (client) =>
    tell(cli, { conversation, way: () => wayOf(cli, client, conversation, flags) }, () =>
      client.send(conversation, body, options),
    ),
  );
}

/** The client's region and the conversation's home. */
interface Way {
  readonly from: string;
  readonly home: string;
}

/** Only for people and only after the outcome: if it is not known soon, it is left out. */
async function wayOf(cli: Cli, client: Client, conversation: string, { region }: SendFlags): Promise<Way | undefined> {
  const { state } = client;
  const from = region ?? (state.status === "ready" ? state.region : undefined);
  if (from === undefined) return undefined;
  const located = withDeadline(cli.context.clock, WAY_MS, "locating the conversation", client.locate(conversation));
  return located.then(
    ({ home }) => ({ from, home }),
    () => undefined,
  );
}

/** What is known of a send beside its outcome. */
interface SendContext {
  readonly conversation: string;
  readonly way: () => Promise<Way | undefined>;
}

/** Tells the outcome on stdout; what is not committed is explained on stderr. */
async function tell(cli: Cli, context: SendContext | undefined, ask: () => Promise<Outcome>): Promise<void> {
  const { clock } = cli.context;
  const conversation = context?.conversation;
  const startedMs = clock.monotonicMs();
  const outcome = await ask();
  const tookMs = Math.round(clock.monotonicMs() - startedMs);
  const { status } = outcome;
  const facts = { status, ...(conversation === undefined ? {} : { conversation }), tookMs };
  switch (status) {
    case "committed": {
      const place = conversation === undefined ? `seq ${outcome.seq}` : `${conversation}#${outcome.seq}`;
      const way = await context?.way();
      const arrow = way === undefined ? "" : ` ${way.from} → ${way.home}`;
      const human = `committed ${place} id ${outcome.id} ${tookMs} ms${arrow}`;
      await cli.output.result(human, { ...facts, seq: outcome.seq, id: outcome.id, ...way });
      return;
    }
    case "unknown":
      cli.exitCode = EXIT.unknown;
      await cli.output.result("unknown", { ...facts, retryKey: outcome.retryKey });
      cli.output.warn("the message may or may not have been accepted");
      cli.output.warn(`ask again later with: meridian resolve ${outcome.retryKey}`);
      return;
    default: {
      const error = cli.unreachable(outcome.error);
      cli.exitCode = exitCodeOf(error.code);
      await cli.output.result(status, { ...facts, error: errorFacts(error) });
      cli.output.error(error);
    }
  }
}

async function readAll(stdin: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > LIMITS.bodyBytesCeiling) {
      throw new MeridianError("TOO_LARGE", `the standard input has more than ${LIMITS.bodyBytesCeiling} bytes`, {
        details: { limit: String(LIMITS.bodyBytesCeiling) },
      });
    }
  }
  return Buffer.concat(chunks);
}
