// API calls on load balancers, and the one call of stock commands that makes a load balancer and a pool together. Source:
// docs/protocol/commands-and-api.md §9.4.

import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import { type BalanceRoute, type Caller, pageOf } from '../../control-plane/handler-context.ts';
import { perPageOf } from '../../control-plane/paging.ts';
import { parsePublicHostname } from '../../control-plane/public-hostname.ts';
import { isPosternError } from '../../errors/error.ts';
import { type BalancerDocument, putBalancerSchema, putPoolSchema } from '../../schema/api/load-balancing.ts';
import type { BalancingRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { Documents, type NewDocument, show } from './documents.ts';
import { tunnelOfAddress, tunnelSuffix } from './model.ts';
import { withChanges } from './patch.ts';
import { readPool } from './pool-handlers.ts';

type BalancerHandlers = Pick<
  ApiHandlers<Caller>,
  'listBalancers' | 'createBalancer' | 'getBalancer' | 'putBalancer' | 'patchBalancer' | 'deleteBalancer'
>;

export function createBalancerHandlers(store: Store, now: () => number): BalancerHandlers {
  const documents = new Documents(store, 'balancer', now);
  const toNew = async (body: BalancerDocument, caller: Caller, zoneId: string): Promise<NewDocument> => {
    const zone = await store.accounts.zone(zoneId);
    if (zone === undefined) throw apiProblem('notFound', 'Zone not found');
    const pools = new Documents(store, 'pool', now);
    const uses = [...new Set([...body.default_pools, body.fallback_pool])];
    for (const id of uses) await pools.get(caller, id);
    const { session_affinity: affinity, session_affinity_attributes: attributes } = body;
    if (affinity === 'header' && attributes.headers.length === 0)
      throw apiProblem('invalid', 'Affinity by header needs session_affinity_attributes.headers');
    const name = parsePublicHostname(body.name, zone.domain);
    return { name, document: { ...body, name }, uses };
  };
  return {
    async listBalancers({ params, query }, caller) {
      const all = await documents.list(caller, params.zone);
      const page = pageOf(all, { page: query.page, perPage: perPageOf(query) });
      return { items: page.items.map(showBalancer), total: page.total };
    },
    async createBalancer({ params, body }, caller) {
      return showBalancer(await documents.create(caller, await toNew(body, caller, params.zone), params.zone));
    },
    async getBalancer({ params }, caller) {
      return showBalancer(await documents.get(caller, params.id, params.zone));
    },
    async putBalancer({ params, body }, caller) {
      const record = await documents.get(caller, params.id, params.zone);
      return showBalancer(await documents.change(record, await toNew(body, caller, params.zone)));
    },
    async patchBalancer({ params, body }, caller) {
      const record = await documents.get(caller, params.id, params.zone);
      const document = withChanges(readBalancer(record), body);
      return showBalancer(await documents.change(record, await toNew(document, caller, params.zone)));
    },
    async deleteBalancer({ params }, caller) {
      return documents.remove(caller, await documents.get(caller, params.id, params.zone));
    },
  };
}

/** Two commands at once for one pool: each tries again as often as others may come between. */
const maxTries = 8;

/** Makes what is missing of load balancer and pool, and puts the tunnel into the pool and the pool into the balancer. */
export function createBalanceRoute(store: Store, now: () => number): BalanceRoute {
  const balancers = new Documents(store, 'balancer', now);
  const pools = new Documents(store, 'pool', now);

  const addToPool: (...given: Parameters<BalanceRoute>) => Promise<Outcome> = async ({ poolName, tunnel }, caller) => {
    const parsed = putPoolSchema.shape.name.safeParse(poolName);
    if (!parsed.success) throw apiProblem('invalid', `${JSON.stringify(poolName)} is not a valid pool name`);
    const found = (await pools.list(caller)).find(one => one.name === poolName);
    const member = { name: tunnel.name, address: `${tunnel.id}${tunnelSuffix}` };
    if (found === undefined) {
      const document = putPoolSchema.parse({ name: poolName, origins: [member] });
      return { change: 'new', record: await pools.create(caller, { name: poolName, document, uses: [] }) };
    }
    const pool = readPool(found);
    if (pool.origins.some(origin => tunnelOfAddress(origin.address) === tunnel.id))
      return { change: 'unchanged', record: found };
    const isTaken = pool.origins.some(origin => origin.name === tunnel.name);
    const added = { ...member, name: isTaken ? tunnel.id : tunnel.name };
    const parsedPool = putPoolSchema.safeParse({ ...pool, origins: [...pool.origins, added] });
    if (!parsedPool.success) throw apiProblem('invalid', `The pool ${poolName} is full`);
    const document = { name: poolName, document: parsedPool.data, uses: found.uses };
    return { change: 'updated', record: await pools.change(found, document) };
  };

  const addToBalancer = async (
    { hostname, zoneId }: Parameters<BalanceRoute>[0],
    caller: Caller,
    poolId: string,
  ): Promise<Change> => {
    const found = (await balancers.list(caller, zoneId)).find(one => one.name === hostname);
    if (found === undefined) {
      const document = putBalancerSchema.parse({ name: hostname, default_pools: [poolId], fallback_pool: poolId });
      await balancers.create(caller, { name: hostname, document, uses: [poolId] }, zoneId);
      return 'new';
    }
    const balancer = readBalancer(found);
    if (balancer.default_pools.includes(poolId)) return 'unchanged';
    const parsed = putBalancerSchema.safeParse({ ...balancer, default_pools: [...balancer.default_pools, poolId] });
    if (!parsed.success) throw apiProblem('invalid', `The load balancer ${hostname} has too many pools`);
    await balancers.change(found, { name: hostname, document: parsed.data, uses: [...found.uses, poolId] });
    return 'updated';
  };

  return async (given, caller) => {
    const { change, record } = await again(() => addToPool(given, caller));
    return { pool: change, load_balancer: await again(() => addToBalancer(given, caller, record.id)) };
  };
}

type Change = 'new' | 'updated' | 'unchanged';

interface Outcome {
  readonly change: Change;
  readonly record: BalancingRecord;
}

/** Runs `body` again while others change the same thing. */
async function again<T>(body: () => Promise<T>): Promise<T> {
  for (let left = maxTries; ; left -= 1) {
    try {
      return await body();
    } catch (error) {
      if (left <= 1 || !isPosternError(error, 'api.conflict')) throw error;
    }
  }
}

function readBalancer(record: BalancingRecord): BalancerDocument {
  return putBalancerSchema.parse(JSON.parse(record.document));
}

function showBalancer(record: BalancingRecord) {
  return { ...show(record, readBalancer(record)), zone_id: record.zoneId };
}
