import type { Acknowledge, Credit, Subscribe, Unsubscribe } from "../gen/meridian/v1/client_pb.ts";
import type { Background } from "../kernel/background.ts";
import { toErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Gateway } from "./gateway.ts";
import type { Outlet } from "./outlet.ts";
import { Subscription } from "./subscription.ts";

export interface SubscriptionsOptions {
  readonly gateway: Gateway;
  readonly outlet: Outlet;
  readonly background: Background;
}

/** The subscriptions of one session by their numbers. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #running = new Map<bigint, Subscription>();

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Throws INVALID_ARGUMENT for a number that is in use: an answer about it would be taken for the other one's. */
  subscribe(request: Subscribe): void {
    const number = request.subscription;
    if (this.#running.has(number)) {
      throw new MeridianError("INVALID_ARGUMENT", `subscription ${number} exists already: give each a number of its own`);
    }
    if (this.#running.size >= LIMITS.subscriptionsPerSession) {
      const limit = LIMITS.subscriptionsPerSession;
      this.#sayEnd(number, new MeridianError("OVERLOADED", `a session may have at most ${limit} subscriptions`));
      return;
    }
    const subscription = new Subscription({ ...this.#options, request });
    this.#running.set(number, subscription);
    this.#options.background.run("a subscription", async () => {
      await subscription.run();
      this.#running.delete(number);
    });
  }

  credit(request: Credit): void {
    this.#find(request.subscription)?.credit(request.bytes);
  }

  acknowledge(request: Acknowledge): void {
    this.#find(request.subscription)?.acknowledge(request.seq);
  }

  unsubscribe(request: Unsubscribe): void {
    this.#find(request.subscription)?.stop();
  }

  /** The session is over. */
  close(): void {
    for (const subscription of this.#running.values()) subscription.close();
  }

  /** An unknown number may be one that has just ended, while the client's frame was on its way: no reason to break the session. */
  #find(number: bigint): Subscription | undefined {
    const subscription = this.#running.get(number);
    if (subscription === undefined) {
      const message = `there is no subscription ${number} in this session: it has ended or never began`;
      this.#sayEnd(number, new MeridianError("INVALID_ARGUMENT", message));
    }
    return subscription;
  }

  #sayEnd(subscription: bigint, error: MeridianError): void {
    this.#options.outlet.answer({ case: "subscriptionEnded", value: { subscription, error: toErrorDetail(error) } });
  }
}
