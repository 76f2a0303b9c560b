// An order that is accepted once, however often it is sent and this is run: `npm run example key [order]`.
import { connect } from "meridian";

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
const [order = "4711"] = process.argv.slice(2);
await using client = await connect({ endpoints, sender: "shop" });

// The key recognises the order, whoever sends it again: another process, another machine, tomorrow.
for (const content of ["3 apples", "3 apples", "4 pears"]) {
  const outcome = await client.send("orders", content, { key: `order ${order}` });
  if (outcome.status === "committed") {
    console.log(`${content}: order ${order} is message #${outcome.seq}`);
  } else if (outcome.status === "rejected" && outcome.error.code === "KEY_CONFLICT") {
    console.log(`${content}: order ${order} was something else. ${outcome.error.advice}`);
  } else {
    console.log(`${content}: ${outcome.status}; run this again`);
  }
}
