import type { Command } from "commander";
import { addClientFlags, addExamples, type Cli, type ClientFlags } from "../cli.ts";

export function addLocate(program: Command, cli: Cli): void {
  const command = program
    .command("locate")
    .description("say who leads a conversation, under which epoch, and how far it is")
    .argument("<conversation>", "such as standup, or standup@eu-west");
  addClientFlags(command).action(async (conversation: string, flags: ClientFlags) => {
    const output = cli.open(flags);
    const { signal } = cli.context;
    const { home, shard, leader, epoch, head } = await cli.withClient(flags, {}, (client) =>
      client.locate(conversation, { signal }),
    );
    const who = leader === "" ? "led" : `led by ${leader}`;
    const human = `${conversation} is ${who}, home ${home}, shard ${shard}, epoch ${epoch}, head #${head.seq}`;
    await output.result(human, { conversation, home, shard, leader, epoch, head });
  });
  addExamples(command, "meridian locate standup", "meridian locate standup --region eu-west --json");
}
