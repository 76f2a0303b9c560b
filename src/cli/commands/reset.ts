import type { Command } from "commander";
import { MeridianError } from "../../kernel/errors.ts";
import { regionsConfig, SETTINGS } from "../../node/config.ts";
import { flagSource } from "../../node/settings.ts";
import { type AdminFlags, addAdminFlag, addExamples, addJsonFlag, type Cli, integer, type OutputFlags } from "../cli.ts";
import { deleteData, refuseIfUsed } from "../data-directory.ts";

interface DataFlags extends OutputFlags {
  readonly data?: string;
  readonly yes?: boolean;
}

interface CursorFlags extends AdminFlags {
  readonly to: number;
}

export function addReset(program: Command, cli: Cli): void {
  const command = program.command("reset").description("start over: a local data directory, or a consumer's cursor");
  addResetData(command, cli);
  addResetCursor(command, cli);
  addExamples(command, "meridian reset data --yes", "meridian reset cursor standup ada-laptop --to 100");
}

function addResetData(reset: Command, cli: Cli): void {
  const command = reset
    .command("data")
    .description("delete a local data directory with all its conversations; its node must not run")
    .option("--data <directory>", "which (MERIDIAN_DATA; default: as for start)")
    .option("--yes", "yes, delete it for good");
  addJsonFlag(command).action(async (flags: DataFlags) => {
    const output = cli.open(flags);
    const { data } = regionsConfig([flagSource({ data: flags.data ?? cli.context.environment.MERIDIAN_DATA }, SETTINGS)]);
    if (flags.yes !== true) {
      throw new MeridianError("INVALID_ARGUMENT", `this would delete every conversation in ${data}`, {
        advice: "Say --yes if that is what you want.",
      });
    }
    await refuseIfUsed(data);
    await deleteData(data);
    await output.result(`deleted ${data}`, { deleted: data });
  });
  addExamples(command, "meridian reset data --yes", "meridian reset data --data .meridian/local --yes");
}

function addResetCursor(reset: Command, cli: Cli): void {
  const command = reset
    .command("cursor")
    .description("set how far a consumer has handled a conversation; it takes effect at its next subscription")
    .argument("<conversation>", "such as standup, or standup@eu-west")
    .argument("<consumer>", "the cursor's name")
    .option("--to <seq>", "the next delivery is the message after this one", integer(0), 0);
  addAdminFlag(command).action(async (conversation: string, consumer: string, flags: CursorFlags) => {
    const output = cli.open(flags);
    const { generation } = await cli.withAdmin(flags, (admin) => admin.resetCursor(conversation, consumer, flags.to));
    const human = `reset ${consumer} of ${conversation} to ${flags.to}, generation ${generation}`;
    await output.result(human, { conversation, consumer, seq: flags.to, generation });
  });
  addExamples(command, "meridian reset cursor standup ada-laptop", "meridian reset cursor orders billing --to 1000");
}
