// Many senders over one client, as a bridge to another chat needs them: `npm run example producer [conversation]`.
import { connect } from "meridian";

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
const [conversation = "bridge"] = process.argv.slice(2);
await using client = await connect({ endpoints });

// Nobody waits for anybody, and still each producer's messages come in the order of its calls.
const sends = ["ada", "ben", "cleo"].flatMap((sender) => {
  const producer = client.producer({ sender });
  return ["one", "two", "three"].map(async (text) => ({ sender, text, outcome: await producer.send(conversation, text) }));
});

for (const { sender, text, outcome } of await Promise.all(sends)) {
  console.log(`${sender} says ${text}: ${outcome.status === "committed" ? `#${outcome.seq}` : outcome.status}`);
}
