import { MeridianError } from "../kernel/errors.ts";

const ID_MAX = "18446744073709551615";

/** Reads the fields of one JSON object and refuses what is not there or not of its kind. All throw INVALID_ARGUMENT. */
export class Fields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #what: string;

  /** `what` names the object in errors. */
  constructor(what: string, value: unknown) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw broken(`${what} is not a JSON object`);
    this.#what = what;
    this.#object = value as Record<string, unknown>;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  text(name: string): string {
    const value = this.#get(name);
    return typeof value === "string" && value !== "" ? value : this.#refuse(name, "a text that is not empty");
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.#get(name);
    return values.find((allowed) => allowed === value) ?? this.#refuse(name, `one of ${values.join(", ")}`);
  }

  integer(name: string, min: number): number {
    const value = this.#get(name);
    const isInteger = typeof value === "number" && Number.isSafeInteger(value) && value >= min;
    return isInteger ? value : this.#refuse(name, `an integer from ${min}`);
  }

  timeMs(name: string): number {
    const value = this.#get(name);
    return typeof value === "number" && Number.isFinite(value) ? value : this.#refuse(name, "a number of milliseconds");
  }

  /** An unsigned 64-bit number as canonical decimal text. */
  decimal(name: string): string {
    const value = this.#get(name);
    const isDecimal = typeof value === "string" && /^(?:0|[1-9]\d{0,19})$/.test(value) && compareDecimals(value, ID_MAX) <= 0;
    return isDecimal ? value : this.#refuse(name, "an unsigned 64-bit number as decimal text");
  }

  /** Lower-case hex digits, `min` to 64 of them. */
  hex(name: string, min: number): string {
    const value = this.#get(name);
    const isHex = typeof value === "string" && value.length >= min && /^[\da-f]{1,64}$/.test(value);
    return isHex ? value : this.#refuse(name, `${min} to 64 lower-case hex digits`);
  }

  /** Different texts, at least one. */
  names(name: string, max: number): readonly string[] {
    const value = this.#get(name);
    const isList = Array.isArray(value) && value.every((item) => typeof item === "string" && item !== "");
    const isSet = isList && value.length > 0 && value.length <= max && new Set(value).size === value.length;
    return isSet ? (value as string[]) : this.#refuse(name, `a list of 1 to ${max} different texts`);
  }

  list<T>(name: string, read: (fields: Fields) => T): readonly T[] {
    const value = this.#get(name);
    if (!Array.isArray(value)) return this.#refuse(name, "a list");
    return value.map((item) => read(new Fields(`an item of "${name}"`, item)));
  }

  #get(name: string): unknown {
    return this.has(name) ? this.#object[name] : undefined;
  }

  #refuse(name: string, wanted: string): never {
    throw broken(this.has(name) ? `"${name}" of ${this.#what} is not ${wanted}` : `${this.#what} has no "${name}"`);
  }
}

export function broken(message: string, cause?: unknown): MeridianError {
  return new MeridianError("INVALID_ARGUMENT", message, {
    cause,
    advice: "Record the run again: a record that is not whole proves nothing.",
  });
}

/** Orders canonical decimal texts as numbers: below 0, 0, or above 0. */
export function compareDecimals(one: string, other: string): number {
  if (one.length !== other.length) return one.length - other.length;
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
