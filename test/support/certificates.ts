import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Whether `openssl` is there, which makes them: Node can read certificates, not make any. */
export const canMakeCertificates = spawnSync("openssl", ["version"], { stdio: "ignore" }).status === 0;
if (!canMakeCertificates) console.warn("SKIPPED: tests of TLS with an authority of its own. Install openssl.");

/** An authority and what it signs, as PEM files in a folder of the test. */
export class Authority {
  readonly folder: string;
  readonly #name: string;

  private constructor(folder: string, name: string) {
    this.folder = folder;
    this.#name = name;
  }

  static make(folder: string, name = "ca"): Authority {
    const authority = new Authority(folder, name);
    authority.#openssl(["req", "-x509", "-subj", `/CN=${name}`, "-days", "2", ...authority.#newKey(name), "-out", `${name}.pem`]);
    return authority;
  }

  /** The authority's own certificate. */
  get file(): string {
    return join(this.folder, `${this.#name}.pem`);
  }

  get pem(): string {
    return readFileSync(this.file, "utf8");
  }

  /** A certificate of this name for these addresses, and its key; `file` holds both. */
  issue(name: string, addresses: readonly string[] = []): { readonly cert: string; readonly key: string; readonly file: string } {
    const names = [`DNS:${name}`, ...addresses.map((address) => `IP:${address}`)].join(",");
    writeFileSync(join(this.folder, `${name}.ext`), `subjectAltName=${names}\n`);
    this.#openssl(["req", "-new", "-subj", `/CN=${name}`, ...this.#newKey(name), "-out", `${name}.csr`]);
    const signing = ["-CA", `${this.#name}.pem`, "-CAkey", `${this.#name}.key`, "-CAcreateserial", "-days", "2"];
    this.#openssl(["x509", "-req", "-in", `${name}.csr`, "-extfile", `${name}.ext`, ...signing, "-out", `${name}.crt`]);
    const [cert, key] = [`${name}.crt`, `${name}.key`].map((file) => readFileSync(join(this.folder, file), "utf8")) as [
      string,
      string,
    ];
    const file = join(this.folder, `${name}.pem`);
    writeFileSync(file, key + cert);
    return { cert, key, file };
  }

  #newKey(name: string): readonly string[] {
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${name}.key`];
  }

  #openssl(args: readonly string[]): void {
    execFileSync("openssl", args, { cwd: this.folder, stdio: "pipe" });
  }
}
