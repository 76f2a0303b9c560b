/** Where servers stand that do not stand on the loopback: on a host of their own on this machine. */
export interface Site {
  readonly host: string;
  /** What is put before a command line to get it there. */
  readonly before: readonly string[];
}
