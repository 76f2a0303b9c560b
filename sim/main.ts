import { run } from "./run.ts";
import { drawPlan } from "./swarm.ts";
import { lineOf } from "./trace.ts";

const [first = "1", count = "1"] = process.argv.slice(2);
const t0 = Date.now();
let events = 0;
for (let seed = +first; seed < +first + +count; seed++) {
  const s0 = Date.now();
  const result = await run(drawPlan(seed));
  events += result.events;
  console.log(seed, result.events, Date.now() - s0, "ms", JSON.stringify(result.tally), result.breaches.slice(0, 2));
  if (+count === 1) console.log(result.steps.map(lineOf).join("\n"));
}
console.log(events / ((Date.now() - t0) / 1000));
