import { LIMITS } from "../../kernel/limits.ts";
import { Pipe, type Wire } from "../rpc/pipe.ts";

/** Frames that wait for their reader before we stop reading: grpc-js then leaves the HTTP/2 window closed, and the far side waits. */
const UNREAD_FRAMES_MAX = 16;

/** What we use of either end of a grpc-js call; frames pass it as they are. */
interface FrameStream {
  write(frame: Buffer, sent: () => void): boolean;
  end(): void;
  isPaused(): boolean;
  pause(): void;
  resume(): void;
  on(event: "data", take: (frame: Buffer) => void): void;
}

/**
 * A pipe over a grpc-js stream. grpc-js speaks in events, and some of its ways are traps: iterating such a stream loses an error
 * that came before the loop, an `error` without a listener ends the process, and a write after the end is an error of its own.
 * So its events are taken here, once, and `end` is what says that all frames have been read.
 */
export function pipeOver(options: {
  readonly side: "caller" | "handler";
  readonly stream: FrameStream;
  readonly abort: Wire["abort"];
  readonly onOver: ConstructorParameters<typeof Pipe>[2];
}): Pipe {
  const { side, stream } = options;
  const pipe = new Pipe(
    side,
    {
      send: (frame) => {
        stream.write(bufferOf(frame), () => pipe.left(frame.length));
      },
      end: () => stream.end(),
      abort: options.abort,
      taken: () => {
        if (stream.isPaused() && !isFull(pipe)) stream.resume();
      },
    },
    options.onOver,
  );
  stream.on("data", (frame: Buffer) => {
    pipe.arrived(frame);
    if (isFull(pipe)) stream.pause();
  });
  return pipe;
}

function isFull({ unread }: Pipe): boolean {
  return unread.frames >= UNREAD_FRAMES_MAX || unread.bytes >= LIMITS.streamWindowBytes;
}

/** The same memory: grpc-js copies a Buffer into its frame by itself. */
function bufferOf(frame: Uint8Array): Buffer {
  return Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
}

/** Frames are encoded above gRPC, where their size is needed for the windows. */
export function asIs(frame: Buffer): Buffer {
  return frame;
}
