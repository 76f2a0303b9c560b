// A consumer whose cursor the node keeps; what its handler cannot do is tried again, then set aside: `npm run example consumer`.
import { connect } from "meridian";

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
await using client = await connect({ endpoints, sender: "waiter" });
for (const dish of ["tea", "soup", "a stone"]) await client.send("kitchen", dish);

// The cursor moves when the handler has returned, or has failed 5 times. The next run goes on after it.
await new Promise<void>((done) => {
  client.subscribe("kitchen", {
    consumer: "cook",
    onMessage: ({ seq, body }, { attempt }) => {
      const dish = new TextDecoder().decode(body);
      if (dish === "a stone") throw new Error("nobody can cook a stone");
      if (dish === "soup" && attempt === 1) throw new Error("the pot fell over");
      console.log(`#${seq} ${dish}: cooked at try ${attempt}`);
    },
    onDeadLetter: ({ seq }, error) => {
      console.log(`#${seq} set aside: ${error.message}`);
      done();
    },
  });
});
