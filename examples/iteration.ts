// A loop over a conversation, from its beginning until Ctrl-C: `npm run example iteration [conversation]`.
import { connect } from "meridian";

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
const [conversation = "standup"] = process.argv.slice(2);
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

await using client = await connect({ endpoints });
const subscription = client.subscribe(conversation, { signal: stop.signal });

// The next message comes when the loop asks for it. Leaving the loop in any other way closes the subscription as well.
for await (const { seq, sender, sentAtMs, body } of subscription) {
  console.log(`#${seq} ${new Date(sentAtMs).toISOString()} ${sender}: ${new TextDecoder().decode(body)}`);
}
console.log(`read up to #${subscription.position} of ${subscription.head}`);
