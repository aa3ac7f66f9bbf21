// Load balancing as a feature of an edge: host names for which members of pools are chosen, request by request; their health;
// the API on all of it. docs/load-balancing.md says what it promises.

import type { ConnectorRegistry } from '../../carriers/connector-registry.ts';
import type { BalanceRoute } from '../../control-plane/handler-context.ts';
import { type ServedCall, serveTable } from '../../control-plane/served-call.ts';
import { errorFields } from '../../errors/error.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { BalancingRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { followTable } from '../../store/follow/follow-table.ts';
import type { SecretBox } from '../../store/secret-box.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { counter, gauge, type MetricFamily } from '../../telemetry/metrics.ts';
import type { BeginChoice } from '../../visitors/choice.ts';
import type { HostnameTable } from '../../visitors/routing/hostname-table.ts';
import { AffinityCookies } from './affinity-cookie.ts';
import { createBalanceRoute, createBalancerHandlers } from './balancer-handlers.ts';
import { beginChoice, type ChoiceParts } from './choice.ts';
import { Endpoints } from './endpoints.ts';
import { Health } from './health.ts';
import { createModel, type Member, type MemberCounts, type Model, type Pool } from './model.ts';
import { createMonitorHandlers } from './monitor-handlers.ts';
import { Monitors } from './monitors.ts';
import { createPoolHandlers, type PoolHealth } from './pool-handlers.ts';

export interface LoadBalancingParts {
  readonly store: Store;
  readonly secrets: SecretBox;
  readonly registry: ConnectorRegistry;
  readonly hostnames: HostnameTable<BeginChoice>;
  readonly network: PrivateNetwork;
  readonly logger: Logger;
  /** Name of this edge's place. */
  readonly location: string;
}

export interface LoadBalancing extends AsyncDisposable {
  readonly api: readonly ServedCall[];
  readonly metrics: readonly MetricFamily[];
  /** Answers the call of stock commands. */
  readonly balanceRoute: BalanceRoute;
}

/** Reads what the store has and follows it. Throws 'store.failed'. */
export async function openLoadBalancing(parts: LoadBalancingParts): Promise<LoadBalancing> {
  const { store, registry, hostnames, network, logger, location } = parts;
  const endpoints = new Endpoints(registry, hostnames, network);
  const health = new Health(() => performance.now());
  const cookies = new AffinityCookies(parts.secrets.keyFor('session affinity'), Date.now);
  const choosing: ChoiceParts = { registry, endpoints, health, cookies, random: Math.random };
  const monitors = new Monitors({ registry, endpoints, health, logger });
  const counts = new Map<string, MemberCounts>();
  let records = new Map<string, BalancingRecord>();
  let model: Model = { balancers: [], pools: new Map() };
  const rebuild = (): void => {
    model = createModel(records.values(), counts);
    hostnames.balance(
      model.balancers.map(balancer => ({
        ...{ hostname: balancer.hostname, accountTag: balancer.accountTag },
        choose: (request, response) => beginChoice(choosing, balancer, request, response),
      })),
    );
    monitors.follow(model);
  };
  const stop = await followTable(store.changes, {
    read: () => store.balancing.list(),
    replace: all => {
      records = new Map(all.map(record => [record.id, record]));
    },
    apply: change => {
      if (change.kind === 'balancing-changed') records.set(change.record.id, change.record);
      else if (change.kind === 'balancing-removed') records.delete(change.record.id);
      else return false;
      return true;
    },
    onChange: rebuild,
    onError: error => logger.error(errorFields(error), 'Cannot read load balancers'),
  });
  const stateOf = (member: Member) => {
    const all = endpoints.of(member);
    return { all, up: all.filter(one => health.isUp(one.key)) };
  };
  const isHealthy = (pool: Pool): boolean =>
    pool.enabled && pool.members.filter(one => stateOf(one).up.length > 0).length >= pool.minimumHealthy;
  const healthOf = (poolId: string): PoolHealth | undefined => {
    const pool = model.pools.get(poolId);
    if (pool === undefined) return undefined;
    const members = pool.members.map(member => {
      const { all, up } = stateOf(member);
      const checks = all.flatMap(one => health.lastOf(one.key) ?? []);
      const last = checks.find(one => !one.ok) ?? checks[0];
      return {
        address: member.address,
        health: {
          ...{ name: member.name, healthy: up.length > 0, rtt: `${(last?.rttMs ?? 0).toFixed(1)}ms` },
          response_code: last?.status ?? 0,
          failure_reason: all.length === 0 ? 'No connector is connected' : (last?.reason ?? ''),
          ...{ replicas: all.length, healthy_replicas: up.length, outstanding: member.outstanding },
        },
      };
    });
    return { healthy: isHealthy(pool), members };
  };
  const perPool = (read: (pool: Pool) => number) => () =>
    [...model.pools.values()].map(pool => [{ pool: pool.id }, read(pool)] as const);
  const sum = (pool: Pool, read: (member: Member) => number): number =>
    pool.members.reduce((total, member) => total + read(member), 0);
  return {
    balanceRoute: createBalanceRoute(store, Date.now),
    api: serveTable({
      ...createMonitorHandlers(store, Date.now),
      ...createPoolHandlers({ store, now: Date.now, location, healthOf }),
      ...createBalancerHandlers(store, Date.now),
    }),
    metrics: [
      gauge(
        'postern_pool_members',
        'Enabled members of pools',
        ['pool'],
        perPool(pool => pool.members.length),
      ),
      gauge(
        'postern_pool_members_up',
        'Members of pools that can be asked',
        ['pool'],
        perPool(pool => sum(pool, one => (stateOf(one).up.length > 0 ? 1 : 0))),
      ),
      counter(
        'postern_pool_answers_total',
        'Requests that members of a pool began to answer',
        ['pool'],
        perPool(pool => sum(pool, one => one.counts.answered)),
      ),
      counter(
        'postern_pool_failures_total',
        'Requests that members of a pool did not answer',
        ['pool'],
        perPool(pool => sum(pool, one => one.counts.failed)),
      ),
      counter('postern_pool_checks_total', 'Health checks of members', ['outcome'], () =>
        Object.entries(monitors.counts).map(([outcome, count]) => [{ outcome }, count]),
      ),
    ],
    [Symbol.asyncDispose]: () => {
      stop();
      hostnames.balance([]);
      monitors[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}
