import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";

type Package = ConstructorParameters<typeof ReflectionService>[0];

/** Lets tools such as grpcurl list, describe and call these services, and reflection itself. */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const files = new Set([...services, ServerReflection, ServerReflectionAlpha].flatMap(({ file }) => withImports(file)));
  const bytes = [...files].map((file) => Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  // The library is made for what proto-loader loads, but looks at nothing of it but the files' bytes.
  new ReflectionService({ files: { fileDescriptorProtos: bytes } } as unknown as Package).addToServer(server);
}

function withImports(file: DescFile): DescFile[] {
  return [file, ...file.dependencies.flatMap(withImports)];
}
