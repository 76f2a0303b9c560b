// Unique numbers for records of your own, roughly ordered by time: `npm run example id [count]`.
import { connect } from "meridian";

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
const [count = "3"] = process.argv.slice(2);
await using client = await connect({ endpoints });

// They fit a signed 64-bit column, but not a JavaScript number: keep them as bigint, and as text in JSON.
const ids = await client.generateIds(Number(count));
for (const id of ids) console.log(JSON.stringify({ id: String(id), title: "a photo" }));
