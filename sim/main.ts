import { LIMITS } from "../src/kernel/limits.ts";
import { World } from "./world.ts";

process.stdout.write(`${LIMITS.batchMessages} ${typeof World}\n`);
