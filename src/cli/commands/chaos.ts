import { type Command, InvalidArgumentError } from "commander";
import type { RegionFault } from "../../index.ts";
import { type AdminFlags, addAdminFlag, addExamples, type Cli } from "../cli.ts";

const DAY_MS = 86_400_000;

/** What is done to a region, for the help and for the line that says it was done. */
const KINDS = {
  kill: { help: "lose a region: its node and its replica are cut off from everything", done: "lost" },
  restore: { help: "end all that was done to a region", done: "restored" },
  partition: { help: "cut all ways between a region and the others; its clients still reach it", done: "cut off" },
} as const;

export function addChaos(program: Command, cli: Cli): void {
  const chaos = program.command("chaos").description("break a region of `meridian start` on purpose, and mend it again");
  for (const kind of ["kill", "restore", "partition"] as const) {
    const command = chaos.command(kind).description(KINDS[kind].help).argument("<region>", "such as eu-west");
    addAdminFlag(command).action((region: string, flags: AdminFlags) =>
      inject(cli, flags, { kind, region }, `${region} is ${KINDS[kind].done}`),
    );
    addExamples(command, `meridian chaos ${kind} eu-west`);
  }
  addSkew(chaos, cli);
  addExamples(chaos, "meridian chaos kill eu-west", "meridian chaos restore eu-west");
}

function addSkew(chaos: Command, cli: Cli): void {
  const command = chaos
    .command("skew")
    .description("put a region's clock wrong")
    .argument("<region>", "such as eu-west")
    .requiredOption("--ms <milliseconds>", "by how much: at most a day; negative puts it back", parseSkew);
  addAdminFlag(command).action((region: string, flags: AdminFlags & { readonly ms: number }) =>
    inject(cli, flags, { kind: "skew", region, skewMs: flags.ms }, `the clock of ${region} is wrong by ${flags.ms} ms`),
  );
  addExamples(command, "meridian chaos skew eu-west --ms 500", "meridian chaos skew eu-west --ms -90000");
}

async function inject(cli: Cli, flags: AdminFlags, fault: RegionFault, human: string): Promise<void> {
  const output = cli.open(flags);
  await cli.withAdmin(flags, (admin) => admin.injectFault(fault));
  await output.result(human, fault);
}

function parseSkew(text: string): number {
  const skewMs = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Math.abs(skewMs) <= DAY_MS) return skewMs;
  throw new InvalidArgumentError(`It must be a whole number from -${DAY_MS} to ${DAY_MS}.`);
}
