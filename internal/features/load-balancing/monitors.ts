// Runs the checks of all pools that have a monitor: each endpoint when it appears, then every interval. One timer a pool; a
// check that still runs is not begun again.

import type { Carrier } from '../../carriers/carrier.ts';
import type { ConnectorRegistry } from '../../carriers/connector-registry.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { check } from './check.ts';
import type { Endpoint, Endpoints } from './endpoints.ts';
import type { Health } from './health.ts';
import type { Model, Pool } from './model.ts';

export interface MonitorsOptions {
  readonly registry: ConnectorRegistry;
  readonly endpoints: Endpoints;
  readonly health: Health;
  readonly logger: Logger;
}

/** Checks under way at once, of all accounts: each holds a stream. What does not fit waits for the next interval. */
const maxRunning = 256;
const nothingTried: ReadonlySet<Carrier> = new Set();

interface Watched {
  readonly pool: Pool;
  readonly timer: NodeJS.Timeout;
}

export class Monitors implements Disposable {
  readonly counts = { succeeded: 0, failed: 0, skipped: 0 };
  readonly #options: MonitorsOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #running = new Set<string>();
  readonly #unsubscribe: () => void;
  #pools: readonly Pool[] = [];

  constructor(options: MonitorsOptions) {
    this.#options = options;
    this.#unsubscribe = options.registry.subscribe(({ kind }) => {
      if (kind === 'removed') this.#forgetGone();
      else this.#checkNew();
    });
  }

  /** From now on the pools are these. */
  follow(model: Model): void {
    this.#pools = [...model.pools.values()];
    for (const [id, { pool, timer }] of this.#watched) {
      const now = model.pools.get(id);
      if (now?.enabled === true && JSON.stringify(now.monitor) === JSON.stringify(pool.monitor)) continue;
      clearInterval(timer);
      this.#watched.delete(id);
      for (const member of pool.members)
        for (const endpoint of this.#options.endpoints.of(member)) this.#options.health.uncheck(endpoint.key);
    }
    for (const pool of this.#pools) {
      if (!pool.enabled || pool.monitor === undefined) continue;
      const { id } = pool;
      const timer =
        this.#watched.get(id)?.timer ??
        setInterval(() => this.#checkAll(this.#watched.get(id)?.pool), pool.monitor.interval * 1000).unref();
      this.#watched.set(id, { pool, timer });
    }
    this.#forgetGone();
    this.#checkNew();
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    for (const { timer } of this.#watched.values()) clearInterval(timer);
    this.#watched.clear();
  }

  #checkAll(pool: Pool | undefined, onlyNew = false): void {
    if (pool === undefined) return;
    const { endpoints, health } = this.#options;
    for (const member of pool.members)
      for (const endpoint of endpoints.of(member))
        if (!onlyNew || health.lastOf(endpoint.key) === undefined) void this.#check(pool, endpoint);
  }

  /** A connector that comes is asked at once. */
  #checkNew(): void {
    for (const { pool } of this.#watched.values()) this.#checkAll(pool, true);
  }

  async #check(pool: Pool, endpoint: Endpoint): Promise<void> {
    const { endpoints, health, logger, registry } = this.#options;
    const { monitor } = pool;
    const carrier = endpoints.carrierOf(endpoint, nothingTried);
    const { key, member } = endpoint;
    if (monitor === undefined || carrier === undefined || this.#running.has(key)) return;
    if (this.#running.size >= maxRunning) {
      this.counts.skipped += 1;
      return;
    }
    this.#running.add(key);
    const host = pool.checkHost ?? member.address;
    const result = await check({ registry, endpoint, carrier, monitor, poolId: pool.id, host });
    this.#running.delete(key);
    // Changed meanwhile, the answer is to another question.
    if (JSON.stringify(this.#watched.get(pool.id)?.pool.monitor) !== JSON.stringify(monitor)) return;
    if (!endpoints.of(member).some(one => one.key === key)) return;
    this.counts[result.ok ? 'succeeded' : 'failed'] += 1;
    const before = health.isUp(key);
    health.checked(key, result, monitor.consecutive_up, monitor.consecutive_down);
    const after = health.isUp(key);
    if (before === after) return;
    const fields = { pool: pool.name, member: member.name, connectorID: endpoint.clientId };
    if (after) logger.info(fields, 'Member of a pool is up');
    else logger.warn({ ...fields, reason: result.reason }, 'Member of a pool is down');
  }

  #forgetGone(): void {
    const { endpoints, health } = this.#options;
    const present = new Set(
      this.#pools.flatMap(pool => pool.members.flatMap(one => endpoints.of(one).map(e => e.key))),
    );
    health.keep(key => present.has(key));
  }
}
