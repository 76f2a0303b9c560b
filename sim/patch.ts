/** A small change of a source's text, made while it is loaded. `find` stands in the file exactly once, or loading fails. */
export interface Patch {
  /** From the repository's root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}
