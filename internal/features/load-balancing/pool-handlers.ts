// API calls on pools: members are checked against what the account has before they are stored.

import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import { type Caller, pageOf, requireTunnel } from '../../control-plane/handler-context.ts';
import { perPageOf } from '../../control-plane/paging.ts';
import {
  type MemberDocument,
  type MemberHealth,
  type PoolDocument,
  putPoolSchema,
} from '../../schema/api/load-balancing.ts';
import type { BalancingRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { Documents, type NewDocument, show } from './documents.ts';
import { targetOf, tunnelSuffix } from './model.ts';
import { withChanges } from './patch.ts';

type PoolHandlers = Pick<
  ApiHandlers<Caller>,
  'listPools' | 'createPool' | 'getPool' | 'putPool' | 'patchPool' | 'deletePool' | 'getPoolHealth'
>;

export interface PoolHealth {
  readonly healthy: boolean;
  readonly members: readonly { readonly address: string; readonly health: MemberHealth }[];
}

export interface PoolHandlerParts {
  readonly store: Store;
  readonly now: () => number;
  /** Name of this edge's place. */
  readonly location: string;
  readonly healthOf: (poolId: string) => PoolHealth | undefined;
}

export function createPoolHandlers({ store, now, location, healthOf }: PoolHandlerParts): PoolHandlers {
  const documents = new Documents(store, 'pool', now);
  const toNew = async (body: PoolDocument, caller: Caller): Promise<NewDocument> => {
    if (body.monitor !== '') await new Documents(store, 'monitor', now).get(caller, body.monitor);
    const names = new Set(body.origins.map(origin => origin.name));
    if (names.size < body.origins.length) throw apiProblem('invalid', 'Two members have the same name: rename one');
    const origins: MemberDocument[] = [];
    for (const origin of body.origins) origins.push(await checkMember(store, origin, caller));
    return { name: body.name, document: { ...body, origins }, uses: body.monitor === '' ? [] : [body.monitor] };
  };
  return {
    async listPools({ query }, caller) {
      const all = await documents.list(caller);
      const wanted = query.monitor === undefined ? all : all.filter(one => one.uses.includes(query.monitor ?? ''));
      const page = pageOf(wanted, { page: query.page, perPage: perPageOf(query) });
      return { items: page.items.map(showPool), total: page.total };
    },
    async createPool({ body }, caller) {
      return showPool(await documents.create(caller, await toNew(body, caller)));
    },
    async getPool({ params }, caller) {
      return showPool(await documents.get(caller, params.id));
    },
    async putPool({ params, body }, caller) {
      const record = await documents.get(caller, params.id);
      return showPool(await documents.change(record, await toNew(body, caller)));
    },
    async patchPool({ params, body }, caller) {
      const record = await documents.get(caller, params.id);
      return showPool(await documents.change(record, await toNew(withChanges(readPool(record), body), caller)));
    },
    async deletePool({ params }, caller) {
      return documents.remove(caller, await documents.get(caller, params.id));
    },
    async getPoolHealth({ params }, caller) {
      const { id } = await documents.get(caller, params.id);
      const health = healthOf(id);
      const origins = health?.members.map(one => ({ [one.address]: one.health })) ?? [];
      return { pool_id: id, pop_health: { [location]: { healthy: health?.healthy === true, origins } } };
    },
  };
}

/** The pool of a record. */
export function readPool(record: BalancingRecord): PoolDocument {
  return putPoolSchema.parse(JSON.parse(record.document));
}

function showPool(record: BalancingRecord) {
  return show(record, readPool(record));
}

/** The member as it is stored. Throws 'api.invalid' and 'api.not-found' for what the account does not have. */
async function checkMember(store: Store, origin: MemberDocument, caller: Caller): Promise<MemberDocument> {
  const target = targetOf(origin);
  const text = JSON.stringify(origin.address);
  if (target === undefined)
    throw apiProblem('invalid', `${text} is no address: give a tunnel's ID, a host name or an IP address`);
  if (target.kind === 'tunnel') {
    const { id } = await requireTunnel({ store }, caller, target.tunnelId);
    return { ...origin, address: `${id}${tunnelSuffix}` };
  }
  if (target.kind === 'hostname') {
    if (!(await isRouted(store, target.hostname, caller.accountTag)))
      throw apiProblem('notFound', `No route of this account leads ${text} to a tunnel: add it with tunnel route dns`);
    return { ...origin, address: target.hostname };
  }
  if (target.networkId !== undefined) {
    const network = await store.networks.get(caller.accountTag, target.networkId);
    if (network === undefined || network.deletedAtMs !== undefined)
      throw apiProblem('notFound', 'Virtual network not found');
  }
  return origin;
}

/** Whether the name, or the wildcard that it falls under, is the account's. */
async function isRouted(store: Store, hostname: string, accountTag: string): Promise<boolean> {
  let found = await store.hostnames.get(hostname);
  for (let dot = hostname.indexOf('.'); found === undefined && dot >= 0; dot = hostname.indexOf('.', dot + 1))
    found = await store.hostnames.get(`*${hostname.slice(dot)}`);
  return found?.accountTag === accountTag;
}
