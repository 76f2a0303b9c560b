import type { ChannelOptions } from "@grpc/grpc-js";
import { LIMITS } from "../../kernel/limits.ts";

const MIB = 1024 * 1024;

/** A half-open connection hangs for ever without pings: both ends ask after 10 s of silence and give up 5 s later. */
const COMMON: ChannelOptions = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.max_receive_message_length": LIMITS.frameBytes,
  "grpc.max_send_message_length": LIMITS.frameBytes,
  // Nobody reads these statistics, and they cost memory for each call.
  "grpc.enable_channelz": 0,
};

export const SERVER_OPTIONS: ChannelOptions = {
  ...COMMON,
  "grpc.max_concurrent_streams": LIMITS.callsPerConnection,
};

export const CHANNEL_OPTIONS: ChannelOptions = {
  ...COMMON,
  "grpc.keepalive_permit_without_calls": 1,
  // HTTP/2's 64 KiB allow 0.8 MB/s over a round trip of 80 ms; this is what lets a server push at line speed.
  "grpc-node.flow_control_window": 8 * MIB,
  // Each channel has a connection of its own, so that heartbeats never queue behind bulk.
  "grpc.use_local_subchannel_pool": 1,
  // Whether a call may be repeated is known above, never here.
  "grpc.enable_retries": 0,
  // gRPC's own pause grows to two minutes; a node that came back shall be found within a second.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  // Neither DNS nor the environment decides how nodes are reached.
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_http_proxy": 0,
};
