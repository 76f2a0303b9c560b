import { readFile } from "node:fs/promises";
import { MeridianError } from "../kernel/errors.ts";
import type { ClusterConfig } from "../node/config.ts";

/** How etcd or Cassandra is entered: who asks, and whom to trust. */
export interface Access {
  readonly login: { readonly username: string; readonly password: string } | undefined;
  /** PEM. */
  readonly tls: { readonly ca: string; readonly cert?: string; readonly key?: string } | undefined;
}

/** With the files read that the configuration names. Throws INVALID_ARGUMENT that names the setting, never what it holds. */
export async function accessTo(engine: "etcd" | "cassandra", config: ClusterConfig): Promise<Access> {
  const { username, password, passwordFile, tls: files } = config[engine];
  const read = (setting: string, file: string) => contentOf(`${engine}.${setting}`, file);
  // A line's end is an editor's doing and belongs to no password.
  const secret = passwordFile === undefined ? password : (await read("passwordFile", passwordFile)).replace(/\r?\n$/, "");
  const login = username === undefined || secret === undefined ? undefined : { username, password: secret };
  if (files === undefined) return { login, tls: undefined };
  const { caFile, certFile, keyFile } = files;
  const tls = {
    ca: await read("tls.caFile", caFile),
    ...(certFile === undefined ? {} : { cert: await read("tls.certFile", certFile) }),
    ...(keyFile === undefined ? {} : { key: await read("tls.keyFile", keyFile) }),
  };
  return { login, tls };
}

async function contentOf(setting: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new MeridianError("INVALID_ARGUMENT", `${setting}: ${file} cannot be read: ${(cause as Error).message}`, {
      advice: "Give the path of a file that this user may read.",
      cause,
    });
  }
}
