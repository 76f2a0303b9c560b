// Which region serves you, and what goes wrong on the way. Start and stop nodes meanwhile: `npm run example connection`.
import { type ConnectionState, connect } from "meridian";

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];

function tell(state: ConnectionState): string {
  switch (state.status) {
    case "choosing":
      return "looking for the nearest node that serves";
    case "connecting":
      return `connecting to ${state.endpoint}`;
    case "ready": // The round trip is measured where there is a choice.
      return `served by ${state.node} in ${state.region}${state.rttMs === undefined ? "" : `, ${state.rttMs.toFixed(1)} ms away`}`;
    case "waiting":
      return `${state.error.code}: ${state.error.message}; next try in ${Math.round(state.retryInMs)} ms`;
    case "closed":
      return "closed";
  }
}

const client = await connect({ endpoints });
console.log(tell(client.state));
client.on("state", (state) => console.log(tell(state)));
// Without a listener, faults are warnings of the process.
client.on("fault", ({ what, error }) => console.log(`fault: ${what}: ${error.message}. ${error.advice}`));

process.once("SIGINT", () => client.close());
