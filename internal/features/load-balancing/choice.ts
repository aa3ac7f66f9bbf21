// The choice for one request: pools in the order of the balancer's steering, in a pool a member, of a member a connector, of
// a connector a connection. Those that are down get nothing; who was tried is not tried again; a visitor with a session
// comes back to where it was.

import type { Carrier } from '../../carriers/carrier.ts';
import type { ConnectorRegistry } from '../../carriers/connector-registry.ts';
import { isPosternError } from '../../errors/error.ts';
import type { HeaderList } from '../../net/http/header-list.ts';
import { countedAddress } from '../../net/limits/rate-limiter.ts';
import type { Attempt, Choice } from '../../visitors/choice.ts';
import type { VisitorRequest, VisitorResponse } from '../../visitors/visitor.ts';
import { type AffinityCookies, connectorTag, cookieValues, type Pinned } from './affinity-cookie.ts';
import type { Endpoint, Endpoints } from './endpoints.ts';
import type { Health } from './health.ts';
import type { Balancer, Member, Pool } from './model.ts';
import { pickHashed, pickLeast, pickRandom, type Random } from './pick.ts';

export interface ChoiceParts {
  readonly registry: ConnectorRegistry;
  readonly endpoints: Endpoints;
  readonly health: Health;
  readonly cookies: AffinityCookies;
  readonly random: Random;
}

/** Tunnels whose return a request may wait for. */
const maxAwaited = 16;

/** The choice for one request of a visitor, whose answer it observes. */
export function beginChoice(
  parts: ChoiceParts,
  balancer: Balancer,
  request: VisitorRequest,
  response: VisitorResponse,
): Choice {
  const choice = new BalancedChoice(parts, balancer, request);
  response.observe({
    head: (_status, headers) => choice.mark(headers),
    ended: () => choice.end(),
  });
  return choice;
}

class BalancedChoice implements Choice {
  readonly #parts: ChoiceParts;
  readonly #balancer: Balancer;
  readonly #request: VisitorRequest;
  readonly #pinned: Pinned | undefined;
  /** What a session without a cookie is told by; undefined = no such session. */
  readonly #sessionText: string | undefined;
  readonly #order: readonly Pool[];
  readonly #tried = new Set<Carrier>();
  /** Said that they cannot. */
  readonly #failed = new Set<string>();
  /** Lost a connection: asked again only where there is nobody else. */
  readonly #doubted = new Set<string>();
  #current: { readonly endpoint: Endpoint; hasAnswered: boolean } | undefined;

  constructor(parts: ChoiceParts, balancer: Balancer, request: VisitorRequest) {
    this.#parts = parts;
    this.#balancer = balancer;
    this.#request = request;
    const { session_affinity: affinity } = balancer.document;
    if (affinity === 'cookie' || affinity === 'ip_cookie')
      this.#pinned = parts.cookies.read(balancer.id, request.headers);
    this.#sessionText = sessionText(balancer, request);
    this.#order = this.#orderPools();
  }

  next(): Attempt | undefined {
    const endpoint = this.#find();
    const carrier = endpoint && this.#parts.endpoints.carrierOf(endpoint, this.#tried);
    if (endpoint === undefined || carrier === undefined) return undefined;
    const { health } = this.#parts;
    const { counts, host, target } = endpoint.member;
    this.#tried.add(carrier);
    this.end();
    const current = { endpoint, hasAnswered: false };
    this.#current = current;
    counts.outstanding += 1;
    return {
      carrier,
      host: host ?? (target.kind === 'private' ? endpoint.privateOrigin?.authority : undefined),
      answered: () => {
        current.hasAnswered = true;
        counts.answered += 1;
        health.answered(endpoint.key);
      },
      failed: error => {
        counts.failed += 1;
        this.end();
        this.#note(endpoint, error);
      },
    };
  }

  hasNext(): boolean {
    const endpoint = this.#find();
    return endpoint !== undefined && this.#parts.endpoints.isTrusted(endpoint);
  }

  async waitForReturn(timeoutMs: number): Promise<boolean> {
    const { endpoints, registry } = this.#parts;
    const pools = [
      ...this.#balancer.pools,
      ...(this.#balancer.fallback === undefined ? [] : [this.#balancer.fallback]),
    ].filter(pool => pool.enabled);
    const tunnels = new Set(pools.flatMap(pool => pool.members.flatMap(member => endpoints.tunnelOf(member) ?? [])));
    // Of those that are connected nobody else is to be expected.
    const gone = [...tunnels].filter(id => registry.connectionsOf(id).length === 0);
    const returns = gone.slice(0, maxAwaited).map(async id => {
      if (!(await registry.waitForReturn(id, timeoutMs))) throw new Error('nobody came back');
    });
    try {
      await Promise.any(returns);
      return true;
    } catch {
      // All waited in vain.
      return false;
    }
  }

  /** The head to send: tells a visitor whose session begins here, or moved. */
  mark(headers: HeaderList): HeaderList {
    const { document, id } = this.#balancer;
    const { session_affinity: affinity, session_affinity_attributes: attributes } = document;
    if ((affinity !== 'cookie' && affinity !== 'ip_cookie') || this.#current?.hasAnswered !== true) return headers;
    const { endpoint } = this.#current;
    const pinned = { member: endpoint.member.key, connector: connectorTag(endpoint.clientId) };
    const before = this.#pinned;
    if (before?.member === pinned.member && before.connector === pinned.connector) return headers;
    if (before !== undefined && attributes.zero_downtime_failover === 'temporary') return headers;
    return [...headers, 'Set-Cookie', this.#parts.cookies.write(id, pinned, this.#request.scheme, document)];
  }

  /** The try of now is over, if there is one. Idempotent. */
  end(): void {
    if (this.#current === undefined) return;
    this.#current.endpoint.member.counts.outstanding -= 1;
    this.#current = undefined;
  }

  #note(endpoint: Endpoint, error: unknown): void {
    const isLoss = isPosternError(error, 'connection.lost') || isPosternError(error, 'connection.closed');
    if (isLoss && endpoint.privateOrigin === undefined) {
      this.#doubted.add(endpoint.key);
      return;
    }
    this.#failed.add(endpoint.key);
    // Busy is not ill.
    if (!isLoss && !isPosternError(error, 'flow.limit')) this.#parts.health.failed(endpoint.key);
  }

  #find(): Endpoint | undefined {
    const isFresh = (one: Endpoint): boolean => !this.#doubted.has(one.key);
    return this.#among(isFresh) ?? this.#among(() => true) ?? this.#lastResort();
  }

  #among(allows: (endpoint: Endpoint) => boolean): Endpoint | undefined {
    const pools = this.#order.filter(pool => this.#isHealthy(pool));
    return this.#pinnedIn(pools, allows) ?? firstOf(pools, pool => this.#inPool(pool, allows, true));
  }

  /** Where all pools are down, the fallback pool is asked once, whatever its health. */
  #lastResort(): Endpoint | undefined {
    const { fallback } = this.#balancer;
    if (fallback === undefined || this.#tried.size > 0) return undefined;
    return this.#inPool(fallback, () => true, false);
  }

  #pinnedIn(pools: readonly Pool[], allows: (endpoint: Endpoint) => boolean): Endpoint | undefined {
    const pinned = this.#pinned;
    if (pinned === undefined) return undefined;
    const member = firstOf(pools, pool => pool.members.find(one => one.key === pinned.member));
    const found = member === undefined ? [] : this.#usable(member, true).filter(allows);
    return found.find(one => connectorTag(one.clientId) === pinned.connector) ?? pickLeast(found, this.#parts.random);
  }

  #inPool(pool: Pool, allows: (endpoint: Endpoint) => boolean, mustBeUp: boolean): Endpoint | undefined {
    const usable = new Map<Member, readonly Endpoint[]>();
    for (const member of pool.members) {
      const found = this.#usable(member, mustBeUp).filter(allows);
      if (found.length > 0) usable.set(member, found);
    }
    const text = this.#sessionText ?? this.#hashText(pool);
    const member = this.#steer(pool, [...usable.keys()], text);
    const found = (member && usable.get(member)) ?? [];
    if (text === undefined) return pickLeast(found, this.#parts.random);
    return pickHashed(found, text);
  }

  #steer(pool: Pool, members: readonly Member[], text: string | undefined): Member | undefined {
    if (text !== undefined) return pickHashed(members, text);
    if (pool.steering.policy === 'random') return pickRandom(members, this.#parts.random);
    return pickLeast(members, this.#parts.random);
  }

  /** What a pool that hashes hashes; undefined where it does not. */
  #hashText(pool: Pool): string | undefined {
    const { policy, hash_cookie: cookie } = pool.steering;
    if (policy !== 'hash') return undefined;
    const value = cookie === undefined ? undefined : cookieOf(this.#request.headers, cookie);
    return value ?? countedAddress(this.#request.remoteAddress);
  }

  /** Endpoints with a connection that was not tried; trusted ones alone while there are any. */
  #usable(member: Member, mustBeUp: boolean): readonly Endpoint[] {
    const { endpoints, health } = this.#parts;
    if (member.weight <= 0) return [];
    const found = endpoints
      .of(member)
      .filter(
        one =>
          !this.#failed.has(one.key) &&
          (!mustBeUp || health.isUp(one.key)) &&
          endpoints.carrierOf(one, this.#tried) !== undefined,
      );
    const trusted = found.filter(one => endpoints.isTrusted(one));
    return trusted.length > 0 ? trusted : found;
  }

  #isHealthy(pool: Pool): boolean {
    if (!pool.enabled) return false;
    const { endpoints, health } = this.#parts;
    let healthy = 0;
    for (const member of pool.members) {
      if (endpoints.of(member).some(one => health.isUp(one.key))) healthy += 1;
      if (healthy >= pool.minimumHealthy) return true;
    }
    return false;
  }

  /** Every pool once: the first is asked, the others when it has nobody. */
  #orderPools(): readonly Pool[] {
    const { document, pools } = this.#balancer;
    const { random_steering: weights, steering_policy: policy } = document;
    if (policy === '' || policy === 'off' || pools.length < 2) return pools;
    let left = pools.map(pool => ({
      ...{ key: pool.id, pool, weight: weights.pool_weights[pool.id] ?? weights.default_weight },
      outstanding: pool.members.reduce((sum, one) => sum + one.outstanding, 0),
    }));
    const order: Pool[] = [];
    for (;;) {
      const picked = this.#pickPool(left, policy);
      if (picked === undefined) return order;
      order.push(picked.pool);
      left = left.filter(one => one !== picked);
    }
  }

  #pickPool<T extends Parameters<typeof pickLeast>[0][number]>(pools: readonly T[], policy: string): T | undefined {
    if (this.#sessionText !== undefined) return pickHashed(pools, this.#sessionText);
    if (policy === 'random') return pickRandom(pools, this.#parts.random);
    return pickLeast(pools, this.#parts.random);
  }
}

function sessionText({ document }: Balancer, request: VisitorRequest): string | undefined {
  const { session_affinity: affinity, session_affinity_attributes: attributes } = document;
  if (affinity === 'ip' || affinity === 'ip_cookie') return countedAddress(request.remoteAddress);
  if (affinity !== 'header') return undefined;
  const values = attributes.headers.map(name => valuesOf(request.headers, name.toLowerCase()));
  const isThere = (value: string): boolean => value !== '';
  const isEnough = attributes.require_all_headers ? values.every(isThere) : values.some(isThere);
  return values.length > 0 && isEnough ? values.join('\n') : undefined;
}

/** All values of a header; empty without one. */
function valuesOf(headers: HeaderList, lower: string): string {
  let text = '';
  for (let index = 0; index + 1 < headers.length; index += 2)
    if (headers[index]?.toLowerCase() === lower) text += `${headers[index + 1]},`;
  return text;
}

function cookieOf(headers: HeaderList, name: string): string | undefined {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() !== 'cookie') continue;
    for (const value of cookieValues(headers[index + 1] ?? '', name)) return value;
  }
  return undefined;
}

function firstOf<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
