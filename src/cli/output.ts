import type { Message } from "../client/messages.ts";
import type { MeridianError } from "../kernel/errors.ts";

/** Where a program's words go. */
export interface Streams {
  /** Results. Resolves when they have been taken, so that a slow reader slows the program down. */
  stdout(text: string): Promise<void>;
  /** Errors, warnings and progress. */
  stderr(text: string): void;
  /** A person looks at stderr. */
  readonly stderrIsTerminal: boolean;
}

/** Back to the line's beginning, with nothing left of it. */
const CLEAR_LINE = "\r\u001b[K";

/** One line a result: for people, or with `json` one JSON object with ids and epochs as decimal text. */
export class Output {
  readonly #streams: Streams;
  readonly #json: boolean;
  #hasBar = false;

  constructor(streams: Streams, options: { readonly json: boolean }) {
    this.#streams = streams;
    this.#json = options.json;
  }

  result(human: string, facts: object): Promise<void> {
    this.bar("");
    return this.#streams.stdout(`${this.#json ? toJson(facts) : visible(human)}\n`);
  }

  message(message: Message): Promise<void> {
    return this.result(messageLine(message), messageFacts(message));
  }

  /** What happened and what to do about it; never a stack. */
  error(error: MeridianError): void {
    if (this.#json) this.#say(`${toJson({ error: errorFacts(error) })}\n`);
    else this.#say(`${visible(`meridian: ${error.message}`)}\n${visible(error.advice)}\n`);
  }

  warn(text: string): void {
    this.#say(`${visible(`meridian: ${text}`)}\n`);
  }

  /** Only a person wants to know. */
  progress(text: string): void {
    if (this.isWatched) this.#say(`${visible(text)}\n`);
  }

  /** Whether a person looks at the progress. */
  get isWatched(): boolean {
    return this.#streams.stderrIsTerminal && !this.#json;
  }

  /** One line that each call writes anew, in the same place; an empty text takes it away. Only a person sees it. */
  bar(text: string): void {
    if (!this.isWatched) return;
    this.#say(visible(text));
    this.#hasBar = text !== "";
  }

  #say(text: string): void {
    this.#streams.stderr(this.#hasBar ? `${CLEAR_LINE}${text}` : text);
    this.#hasBar = false;
  }
}

/** 1 and "shard" as "1 shard", 3,000 as "3,000 shards". */
export function counted(count: number, what: string): string {
  return `${count.toLocaleString("en-US")} ${what}${count === 1 ? "" : "s"}`;
}

export function errorFacts({ code, message, retry, advice, details }: MeridianError): object {
  return { code, message, retry, advice, details };
}

function messageLine({ conversation, seq, sender, type, body, sentAtMs }: Message): string {
  const time = sentAtMs === 0 ? "" : ` ${new Date(sentAtMs).toISOString()}`;
  const kind = type === "" || type === "text/plain" ? "" : ` [${type}]`;
  return `${conversation}#${seq}${time} ${sender}${kind}: ${asText(body) ?? `(${body.length} bytes)`}`;
}

function messageFacts({ body, key, producer, traceparent, ...facts }: Message): object {
  const text = asText(body);
  return {
    ...facts,
    ...(text === undefined ? { bodyBase64: Buffer.from(body).toString("base64") } : { body: text }),
    ...(producer === 0n ? {} : { producer }),
    ...(key === undefined ? {} : keyFacts(key)),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

function keyFacts(key: Uint8Array): object {
  const text = asText(key);
  return text === undefined ? { keyBase64: Buffer.from(key).toString("base64") } : { key: text };
}

function asText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Messages are strangers' text: control characters in them must not reach the terminal, nor make two lines of one. */
function visible(text: string): string {
  return text.replace(/\p{Cc}|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}

function toJson(facts: object): string {
  return JSON.stringify(facts, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}
