// npm run gen: makes src/gen from proto.
import { ensureInstalled, fail, run, say } from "./lib.mjs";

say("meridian: generating src/gen from proto (buf generate)");
await ensureInstalled();
const { code } = await run("buf", ["generate"]);
if (code !== 0) fail("meridian: buf generate failed; the lines above say why");
