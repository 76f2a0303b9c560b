import { type Command, InvalidArgumentError, Option } from "commander";
import { IdLayout } from "../../ids/layout.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { addClientFlags, addExamples, type Cli, type ClientFlags, integer } from "../cli.ts";

interface IdsFlags extends ClientFlags {
  readonly count: number;
  readonly decode?: bigint;
}

export function addIds(program: Command, cli: Cli): void {
  const command = program
    .command("ids")
    .description("make unique ids, or take one apart")
    .option("--count <n>", "how many", integer(1), 1)
    .addOption(new Option("--decode <id>", "say when and by whom this id was made; asks no node").argParser(parseId));
  addClientFlags(command).action((flags: IdsFlags) =>
    flags.decode === undefined ? make(cli, flags) : take(cli, flags.decode, flags),
  );
  addExamples(command, "meridian ids --count 3", "meridian ids --decode 382510938316800");
}

async function make(cli: Cli, flags: IdsFlags): Promise<void> {
  const output = cli.open(flags);
  const { signal } = cli.context;
  await cli.withClient(flags, {}, async (client) => {
    for (let left = flags.count; left > 0 && !signal.aborted; left -= LIMITS.idsPerCall) {
      const ids = await client.generateIds(Math.min(left, LIMITS.idsPerCall), { signal });
      for (const id of ids) await output.result(String(id), { id });
    }
  });
}

async function take(cli: Cli, id: bigint, flags: IdsFlags): Promise<void> {
  const { utcMs, worker, counter } = new IdLayout().decompose(id);
  const time = new Date(utcMs).toISOString();
  await cli.open(flags).result(`id ${id} ${time} worker ${worker} counter ${counter}`, { id, time, utcMs, worker, counter });
}

function parseId(text: string): bigint {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new InvalidArgumentError("It must be an id in decimal digits.");
}
