import { Command, CommanderError } from "commander";
import { MeridianError } from "../kernel/errors.ts";
import { addExamples, Cli, type CliContext } from "./cli.ts";
import { addChaos } from "./commands/chaos.ts";
import { addConfig } from "./commands/config.ts";
import { addDemo } from "./commands/demo.ts";
import { addDrill } from "./commands/drill.ts";
import { addHistory } from "./commands/history.ts";
import { addIds } from "./commands/ids.ts";
import { addInit } from "./commands/init.ts";
import { addLocate } from "./commands/locate.ts";
import { addReplay } from "./commands/replay.ts";
import { addReset } from "./commands/reset.ts";
import { addResolve, addSend } from "./commands/send.ts";
import { addServe } from "./commands/serve.ts";
import { addStart } from "./commands/start.ts";
import { addStatus } from "./commands/status.ts";
import { addTail } from "./commands/tail.ts";
import { addTopology } from "./commands/topology.ts";
import { addVerify } from "./commands/verify.ts";
import { EXIT, type ExitCode, exitCodeOf } from "./exit-code.ts";

/** Runs the program with these arguments; answers its exit code. Never throws. */
export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const cli = new Cli(context);
  try {
    const help = { text: "" };
    const program = buildProgram(cli, help);
    try {
      await program.parseAsync([...args], { from: "user" });
    } finally {
      if (help.text !== "") await context.stdout(help.text);
    }
    return cli.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.done : EXIT.usage;
    const error = cli.unreachable(MeridianError.from(thrown));
    cli.output.error(error);
    return exitCodeOf(error.code);
  }
}

function buildProgram(cli: Cli, help: { text: string }): Command {
  const program = new Command("meridian")
    .description("Chat messages across regions: one gap-free sequence per conversation, handed over exactly once.")
    .version(cli.context.version)
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ helpWidth: 120 })
    .configureOutput({
      writeOut: (text) => {
        help.text += text;
      },
      writeErr: (text) => cli.context.stderr(text),
    });
  addStart(program, cli);
  addServe(program, cli);
  addInit(program, cli);
  addConfig(program, cli);
  addSend(program, cli);
  addResolve(program, cli);
  addTail(program, cli);
  addHistory(program, cli);
  addLocate(program, cli);
  addStatus(program, cli);
  addTopology(program, cli);
  addChaos(program, cli);
  addReplay(program, cli);
  addDemo(program, cli);
  addDrill(program, cli);
  addVerify(program, cli);
  addIds(program, cli);
  addReset(program, cli);
  addExamples(program, "meridian start", 'meridian send standup "good morning"', "meridian tail standup --from-start");
  program.addHelpText("after", "\nExit codes: 0 done, 1 violation found, 2 usage, 3 unavailable, 4 outcome unknown.");
  return program;
}
