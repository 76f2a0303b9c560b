// npm test: installs and builds what is stale, then runs the fast tests and, unless --fast is given, the slow ones.
// Other arguments are filters and options of vitest. The last line is always the sum of all runs.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as cassandra from "./engines/cassandra.mjs";
import * as etcd from "./engines/etcd.mjs";
import { ensureBuilt, ensureInstalled, fail, run, say, since } from "./lib.mjs";

const FAST = ["unit", "contract"];
// One after the other: the simulator takes all cores, and real processes beside it would miss their deadlines.
const SLOW = [["sim"], ["e2e"]];
/** These run on real engines; the second on whole clusters of them, so nothing runs beside it. */
const ON_ENGINES = [["engines"], ["cluster"]];

const ENGINES = { etcd, cassandra };
/** `MERIDIAN_REQUIRE` names the engines, with commas, that must not be missing: their tests are run and not skipped. */
const REQUIRED = (process.env.MERIDIAN_REQUIRE ?? "").split(",").filter((name) => name !== "");

const isFast = process.argv.includes("--fast");
const filters = process.argv.slice(2).filter((argument) => argument !== "--fast");

const unknown = REQUIRED.filter((name) => !Object.hasOwn(ENGINES, name));
if (unknown.length > 0) fail(`MERIDIAN_REQUIRE names ${unknown.join(", ")}; there are ${Object.keys(ENGINES).join(", ")}`);

say(`meridian: testing ${isFast ? "(the fast tests only)" : ""}`.trimEnd());
await ensureInstalled();
await ensureBuilt();

const sum = { passed: 0, failed: 0, skipped: 0 };
/** Told right above the sum, where they are not missed. */
const lacks = [];
// Slow tests of what is broken already say nothing new.
let isGood = await runAll(isFast ? [FAST] : [FAST, ...SLOW]);
if (isGood && !isFast && (await isAnyOnEngines())) isGood = (await prepareEngines()) && (await runAll(ON_ENGINES));
if (isGood && sum.passed + sum.skipped === 0) {
  say("meridian: no test was run; the filters match none");
  isGood = false;
}
process.exitCode = isGood ? 0 : 1;
for (const lack of lacks) say(lack);
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped\n`);

/** Runs one after the other and stops at the first that fails; answers whether none did. */
async function runAll(runs) {
  for (const projects of runs) if (!(await runVitest(projects))) return false;
  return true;
}

/** Whether the filters leave any test that runs on engines: if not, nobody waits until they are built. */
async function isAnyOnEngines() {
  if (filters.length === 0) return true;
  const projects = ON_ENGINES.flat().flatMap((project) => ["--project", project]);
  const { output } = await run("vitest", ["list", "--filesOnly", ...projects, ...filters], { quiet: true });
  return output.includes(".test.ts");
}

/**
 * Builds or downloads the engines that are not there yet. Tests on one that this machine cannot have are skipped, which is
 * told in one line; where it is required it is a failure. Answers whether there was none.
 */
async function prepareEngines() {
  for (const [name, engine] of Object.entries(ENGINES)) {
    try {
      await engine.prepare({ say });
    } catch ({ message }) {
      if (REQUIRED.includes(name)) {
        sum.failed += 1;
        lacks.push(`meridian: FAILED for want of a real ${name}, which MERIDIAN_REQUIRE asks for: ${message}`);
      } else {
        // What a tool printed when it failed is behind the first line.
        const [why] = message.split("\n");
        lacks.push(`meridian: SKIPPED all tests on a real ${name} (npm run engines -- prepare ${name} says more): ${why}`);
      }
    }
  }
  return sum.failed === 0;
}

/** Runs some projects of vitest.config.ts, adds their results to the sum and answers whether all is well. */
async function runVitest(projects) {
  const folder = mkdtempSync(join(tmpdir(), "meridian-test-"));
  const resultFile = join(folder, "result.json");
  const startedMs = Date.now();
  say(`meridian: running ${projects.join(", ")} tests`);
  try {
    const { code } = await run("vitest", [
      "run",
      ...projects.flatMap((project) => ["--project", project]),
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${resultFile}`,
      "--passWithNoTests",
      ...filters,
    ]);
    const isGood = count(resultFile, code);
    say(`meridian: ${projects.join(", ")} tests ended after ${since(startedMs)}`);
    return isGood;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A run that fails without a failed test (a file that cannot be loaded, an error outside of any test) counts as one failure each. */
function count(resultFile, code) {
  let failed = 0;
  try {
    const result = JSON.parse(readFileSync(resultFile, "utf8"));
    const brokenFiles = result.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
    sum.passed += result.numPassedTests;
    sum.skipped += result.numPendingTests + result.numTodoTests;
    failed = result.numFailedTests + brokenFiles.length;
  } catch (error) {
    say(`meridian: vitest left no result (exit code ${code}): ${error.message}`);
    failed = 1;
  }
  if (code !== 0 && failed === 0) failed = 1;
  sum.failed += failed;
  return failed === 0;
}
