// A chat in the terminal: `npm run example chat <name> [conversation]`. What you type is sent, what others say is printed.
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { connect } from "meridian";

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
const [name, conversation = "standup"] = process.argv.slice(2);
if (name === undefined) {
  console.error("Who are you? npm run example chat <name> [conversation]");
  process.exit(2);
}

await using client = await connect({ endpoints, sender: name });

// The client reconnects by itself, to another region if need be. Here it is only said.
let isConnected = false;
client.on("state", (state) => {
  if (state.status === "ready") console.log(`* connected to ${state.region}`);
  else if (isConnected && state.status !== "closed")
    console.log("* the connection is lost; what you say is sent when it is back");
  isConnected = state.status === "ready";
});

const subscription = client.subscribe(conversation, {
  after: "head",
  onMessage: ({ sender, body }) => {
    // Others must not steer our terminal.
    const text = stripVTControlCharacters(new TextDecoder().decode(body));
    if (sender !== name) console.log(`${sender}: ${text}`);
  },
});
await subscription.started;
console.log(`* you are in ${conversation} as ${name}; leave with Ctrl-D`);

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await client.send(conversation, line, { type: "text/plain" });
  if (outcome.status !== "committed") console.log(`* ${outcome.status}: ${line}`);
}
