// Where a conversation is led, and all that was said there, page by page: `npm run example history [conversation] [size]`.
import { connect } from "meridian";

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
const [conversation = "standup", size = "10"] = process.argv.slice(2);
await using client = await connect({ endpoints });

const { home, leader, head } = await client.locate(conversation);
console.log(`${conversation} is led by ${leader} in ${home} and goes up to #${head.seq}`);

for (let after = 0; after < head.seq; ) {
  const { messages, through } = await client.history(conversation, { after, limit: Number(size) });
  console.log(`- #${after + 1} to #${through}`);
  for (const { seq, sender, body } of messages) console.log(`#${seq} ${sender}: ${new TextDecoder().decode(body)}`);
  // Not the last message's seq: a number may have no message.
  after = through;
}
