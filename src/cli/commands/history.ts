import type { Command } from "commander";
import { LIMITS } from "../../kernel/limits.ts";
import { addClientFlags, addExamples, type Cli, type ClientFlags, integer } from "../cli.ts";

interface HistoryFlags extends ClientFlags {
  readonly after: number;
  readonly limit: number;
}

export function addHistory(program: Command, cli: Cli): void {
  const command = program
    .command("history")
    .description("print a range of a conversation")
    .argument("<conversation>", "such as standup, or standup@eu-west")
    .option("--after <seq>", "begin after this message", integer(0), 0)
    .option("--limit <n>", "how many seqs, those that hold no message included", integer(1), LIMITS.historyMessagesDefault);
  addClientFlags(command).action((conversation: string, flags: HistoryFlags) => history(cli, conversation, flags));
  addExamples(command, "meridian history standup", "meridian history standup --after 1000 --limit 50 --json");
}

async function history(cli: Cli, conversation: string, flags: HistoryFlags): Promise<void> {
  const output = cli.open(flags);
  const { signal } = cli.context;
  await cli.withClient(flags, {}, async (client) => {
    let after = flags.after;
    const end = after + flags.limit;
    for (let head = Number.POSITIVE_INFINITY; after < end && after < head && !signal.aborted; ) {
      const limit = Math.min(end - after, LIMITS.historyMessages);
      const page = await client.history(conversation, { after, limit, signal });
      for (const message of page.messages) await output.message(message);
      if (page.through <= after) break;
      after = page.through;
      head = page.head;
    }
    output.progress(after >= end ? `there may be more: --after ${after}` : `that is all, up to ${after}`);
  });
}
