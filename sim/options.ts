export interface Options {
  /** The first seed; without `seeds` the only one. */
  readonly seed: number | undefined;
  readonly seeds: number;
  readonly minutes: number;
  /** So many are run however long it takes. */
  readonly floor: number;
  readonly jobs: number;
  readonly mutant: string | undefined;
  readonly replay: readonly string[];
  readonly shrink: boolean;
  readonly story: boolean;
  readonly out: string | undefined;
  readonly why: string;
  readonly mutants: boolean;
  /** Runs the named scenarios instead. */
  readonly scenarios: boolean;
  /** Only those whose name holds this. */
  readonly only: string;
  readonly worker: boolean;
}

const USAGE = `npm run sim -- [options]
  --seeds N      so many fresh histories (default 100), from --seed on, or from a random seed
  --seed S       this history alone, when --seeds is not given
  --minutes M    stop after so long, but not before --floor N histories
  --jobs J       so many processes (default 1)
  --mutant NAME  with this bug built in (npm run sim:mutants lists them)
  --replay FILE  a history kept in a file; several times for several
  --scenarios    the named histories (sim/scenarios); --only "part of a name" for some of them
  --shrink       make the failing history smaller, and write it to --out FILE with --why "a sentence"
  --story        print the whole history in words`;

const FLAGS = new Set(["shrink", "story", "mutants", "scenarios", "worker"]);

/** Throws an Error that says what is wrong. */
export function parseOptions(args: readonly string[]): Options {
  const given = new Map<string, string[]>();
  for (let at = 0; at < args.length; at += 1) {
    const name = (args[at] ?? "").replace(/^--/, "");
    if (!FLAGS.has(name)) at += 1;
    const value = FLAGS.has(name) ? "yes" : args[at];
    if (value === undefined || value === "") throw new Error(`--${name} needs a value\n${USAGE}`);
    given.set(name, [...(given.get(name) ?? []), value]);
  }
  const text = (name: string) => given.get(name)?.at(-1);
  const number = (name: string, otherwise: number) => {
    const value = Number(text(name) ?? otherwise);
    if (!(value >= 0)) throw new Error(`--${name} is a number, not ${text(name)}\n${USAGE}`);
    return value;
  };
  const known = ["seed", "seeds", "minutes", "floor", "jobs", "mutant", "replay", "out", "why", "only", ...FLAGS];
  const stranger = [...given.keys()].find((name) => !known.includes(name));
  if (stranger !== undefined) throw new Error(`there is no option --${stranger}\n${USAGE}`);
  const seed = text("seed") === undefined ? undefined : number("seed", 0);
  return {
    seed,
    seeds: number("seeds", seed === undefined ? 100 : 1),
    minutes: number("minutes", Number.POSITIVE_INFINITY),
    floor: number("floor", 0),
    jobs: number("jobs", 1),
    mutant: text("mutant"),
    replay: given.get("replay") ?? [],
    shrink: given.has("shrink"),
    story: given.has("story"),
    out: text("out"),
    why: text("why") ?? "",
    mutants: given.has("mutants"),
    scenarios: given.has("scenarios"),
    only: text("only") ?? "",
    worker: given.has("worker"),
  };
}
