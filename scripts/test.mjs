// npm test: installs and builds what is stale, then runs the fast tests and, unless --fast is given, the slow ones.
// Other arguments are filters and options of vitest. The last line is always the sum of all runs.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBuilt, ensureInstalled, run, say, since } from "./lib.mjs";

const FAST = ["unit", "contract"];
// One after the other: the simulator takes all cores, and real processes beside it would miss their deadlines.
const SLOW = [["sim"], ["e2e"]];
// They build or download real servers and take minutes beside the eight that everything else has, so they are asked for by name.
const REQUIRED = process.env.MERIDIAN_REQUIRE ?? "";

const isFast = process.argv.includes("--fast");
const filters = process.argv.slice(2).filter((argument) => argument !== "--fast");

say(`meridian: testing ${isFast ? "(the fast tests only)" : ""}`.trimEnd());
await ensureInstalled();
await ensureBuilt();

const sum = { passed: 0, failed: 0, skipped: 0 };
let isGood = true;
if (!isFast && REQUIRED === "") {
  say("meridian: SKIPPED: tests on real engines; ask for them with MERIDIAN_REQUIRE=etcd,cassandra");
}
for (const projects of isFast ? [FAST] : [FAST, ...SLOW, ...(REQUIRED === "" ? [] : [["engines"]])]) {
  isGood = (await runVitest(projects)) && isGood;
  // Slow tests of what is broken already say nothing new.
  if (!isGood) break;
}
if (isGood && sum.passed === 0) {
  say("meridian: no test was run; the filters match none");
  isGood = false;
}
process.exitCode = isGood ? 0 : 1;
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped\n`);

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
