// npm run demo: installs and builds what is stale, then becomes `meridian demo`.
import { becomeProgram, say } from "./lib.mjs";

say("meridian: the demo");
await becomeProgram("demo");
