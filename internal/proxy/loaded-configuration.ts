// A configuration in use: its matcher and its opened origins. It lives until the last exchange that began under it
// has ended, so a swap never cuts a request. Source: docs/protocol/ingress-and-origin.md §5 (switch-over).

import type { Matcher } from '../ingress/match.ts';
import type { Origin } from '../origin/exchange/exchange.ts';
import type { IngressConfig, IngressRule } from '../schema/ingress-rule.ts';
import type { ExchangeOwner, ExchangeSubject } from './exchange.ts';

/** What a rule needs when a request has matched it. */
export interface Route {
  readonly origin: Origin;
  readonly subject: ExchangeSubject;
}

export class LoadedConfiguration implements ExchangeOwner {
  readonly config: IngressConfig;
  readonly matcher: Matcher;
  /** Settles when retired, idle, and every origin is closed. */
  readonly closed: Promise<void>;
  readonly #routes: ReadonlyMap<IngressRule, Route>;
  readonly #settle: () => void;
  #active = 0;
  #retired = false;

  constructor(config: IngressConfig, matcher: Matcher, routes: ReadonlyMap<IngressRule, Route>) {
    this.config = config;
    this.matcher = matcher;
    this.#routes = routes;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#settle = resolve;
  }

  route(rule: IngressRule): Route | undefined {
    return this.#routes.get(rule);
  }

  exchangeStarted(): void {
    this.#active += 1;
  }

  exchangeEnded(): void {
    this.#active -= 1;
    if (this.#retired && this.#active === 0) this.#close();
  }

  /** Takes no new exchange; closes when the running ones have ended. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    if (this.#active === 0) this.#close();
  }

  #close(): void {
    Promise.all([...this.#routes.values()].map(({ origin }) => origin.close())).then(this.#settle, this.#settle);
  }
}
