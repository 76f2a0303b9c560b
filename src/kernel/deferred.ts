/** A promise with its two ends in the open. Its rejection counts as handled: whoever cares awaits `promise`. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;

  constructor() {
    let resolve!: (value: T) => void;
    let reject!: (error: Error) => void;
    this.promise = new Promise<T>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    this.promise.catch(() => {});
    this.resolve = resolve;
    this.reject = reject;
  }
}
