import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { decode as decodeFrame } from "../../kernel/decode.ts";
import { encode } from "../../kernel/encode.ts";
import { type Code, MeridianError } from "../../kernel/errors.ts";
import type { Duplex } from "../../ports/network.ts";

/** Throws `onGarbage` for bytes that are no such message. The message's `bytes` fields are views of the frame. */
export function decode<D extends DescMessage>(schema: D, frame: Uint8Array, onGarbage: Code): MessageShape<D> {
  try {
    return decodeFrame(schema, frame);
  } catch (cause) {
    throw new MeridianError(onGarbage, `a frame is not a valid ${schema.typeName}`, { cause });
  }
}

/** A pipe of bytes as a stream of messages. */
export function typed<Out extends DescMessage, In extends DescMessage>(
  pipe: Duplex<Uint8Array, Uint8Array>,
  schemas: { readonly out: Out; readonly in: In },
  onGarbage: Code,
): Duplex<MessageInitShape<Out>, MessageShape<In>> {
  return {
    write: (frame) => pipe.write(encode(schemas.out, frame)),
    drained: () => pipe.drained(),
    frames: { [Symbol.asyncIterator]: () => decodeAll(pipe, schemas.in, onGarbage) },
    close: (error) => pipe.close(error),
  };
}

async function* decodeAll<D extends DescMessage>(
  pipe: Duplex<Uint8Array, Uint8Array>,
  schema: D,
  onGarbage: Code,
): AsyncGenerator<MessageShape<D>, void, undefined> {
  for await (const frame of pipe.frames) {
    yield decode(schema, frame, onGarbage);
  }
}

/** The one frame of a unary call. Breaking out of the loop would drop a late error, so a call that has more is an error too. */
export async function onlyFrame(pipe: Duplex<Uint8Array, Uint8Array>, onGarbage: Code): Promise<Uint8Array> {
  let only: Uint8Array | undefined;
  for await (const frame of pipe.frames) {
    if (only !== undefined) throw new MeridianError(onGarbage, "a call that takes one message got several");
    only = frame;
  }
  if (only === undefined) throw new MeridianError(onGarbage, "a call that takes one message got none");
  return only;
}
