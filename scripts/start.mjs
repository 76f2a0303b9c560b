// npm start: installs and builds what is stale, then becomes `meridian start` with the arguments given after `--`.
import { becomeProgram, say } from "./lib.mjs";

say("meridian: starting");
await becomeProgram("start");
