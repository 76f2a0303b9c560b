import type { Command } from "commander";
import { exitCodeOf, report } from "../../verify/report.ts";
import { verifyRecord } from "../../verify/verdict.ts";
import { addExamples, addJsonFlag, type Cli, type OutputFlags } from "../cli.ts";
import { fileLines, textLines } from "../text-lines.ts";

export function addVerify(program: Command, cli: Cli): void {
  const command = program
    .command("verify")
    .description("judge the record of a run: does it keep every guarantee? exit code 1 if not, 2 if the record is broken")
    .argument(
      "<record>",
      "a file that `meridian replay --record` or `meridian drill --record` wrote; - reads the standard input",
    );
  addJsonFlag(command).action(async (record: string, flags: OutputFlags) => {
    cli.open(flags);
    await verify(cli, record === "-" ? textLines(cli.context.stdin) : fileLines(record));
  });
  addExamples(command, "meridian verify run.jsonl", "gunzip -c run.jsonl.gz | meridian verify - --json");
}

/** Prints the report on a record; the verdict becomes the exit code. */
export async function verify(cli: Cli, lines: AsyncIterable<string>): Promise<void> {
  const verdict = await verifyRecord(lines);
  for (const { human, facts } of report(verdict)) await cli.output.result(human, facts);
  cli.endWith(exitCodeOf(verdict));
}
