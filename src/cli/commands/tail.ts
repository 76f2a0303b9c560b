import { type Command, Option } from "commander";
import type { Client, Subscription } from "../../index.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { withDeadline } from "../../kernel/timing.ts";
import { addClientFlags, addExamples, type Cli, type ClientFlags, integer } from "../cli.ts";

interface TailFlags extends ClientFlags {
  readonly after?: number;
  readonly last?: number;
  readonly fromStart?: boolean;
  readonly consumer?: string;
  readonly count?: number;
}

export function addTail(program: Command, cli: Cli): void {
  const command = program
    .command("tail")
    .description("follow a conversation; without a start, what comes from now on")
    .argument("<conversation>", "such as standup, or standup@eu-west")
    .addOption(new Option("--after <seq>", "start after this message").argParser(integer(0)).conflicts(["last", "fromStart"]))
    .addOption(new Option("--last <n>", "start with the last n").argParser(integer(1)).conflicts("fromStart"))
    .option("--from-start", "start with the first message")
    .option("--consumer <name>", "the node keeps a cursor under this name: the next tail goes on after it, whatever the start")
    .option("--count <n>", "end after n messages", integer(1));
  addClientFlags(command).action((conversation: string, flags: TailFlags) => tail(cli, conversation, flags));
  addExamples(
    command,
    "meridian tail standup",
    "meridian tail standup --last 20 --count 20",
    "meridian tail orders --consumer billing --json | ./handle",
  );
}

async function tail(cli: Cli, conversation: string, flags: TailFlags): Promise<void> {
  cli.open(flags);
  const { signal } = cli.context;
  try {
    await cli.withClient(flags, {}, async (client) => {
      const after = await startOf(client, conversation, flags, signal);
      const { consumer } = flags;
      const subscription = client.subscribe(conversation, {
        after,
        signal,
        ...(consumer === undefined ? {} : { consumer }),
        onTruncated: ({ after: seq, through }) => cli.output.warn(`the log is no longer kept from ${seq + 1} to ${through}`),
      });
      await untilStarted(cli, subscription);
      await print(cli, subscription, flags.count ?? Number.POSITIVE_INFINITY);
    });
  } catch (thrown) {
    // Following ends when the user says so: then a call that was cut short is no failure.
    const error = MeridianError.from(thrown);
    if (!signal.aborted || error.code !== "UNAVAILABLE") throw error;
  }
}

async function startOf(client: Client, conversation: string, flags: TailFlags, signal: AbortSignal): Promise<number | "head"> {
  if (flags.after !== undefined) return flags.after;
  if (flags.fromStart === true) return 0;
  if (flags.last === undefined) return "head";
  const { head } = await client.locate(conversation, { signal });
  return Math.max(0, head.seq - flags.last);
}

async function untilStarted(cli: Cli, subscription: Subscription): Promise<void> {
  const { clock, signal } = cli.context;
  try {
    await withDeadline(clock, LIMITS.callDeadlineMs, "subscribing", subscription.started, signal);
  } catch (error) {
    throw cli.unreachable(MeridianError.from(error));
  }
}

async function print(cli: Cli, subscription: Subscription, count: number): Promise<void> {
  const messages = subscription[Symbol.asyncIterator]();
  for (let printed = 0; printed < count; printed += 1) {
    const step = await messages.next();
    if (step.done === true) return;
    await cli.output.message(step.value);
  }
  // Asking for one more is what says that the last one is handled: its cursor is saved by the close.
  await Promise.all([messages.next(), subscription.close()]);
}
