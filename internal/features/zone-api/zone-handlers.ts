// API calls that show the caller's account and its zones. Both are made with the edge, and neither can be changed here.

import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import { type Caller, formatTime, pageOf } from '../../control-plane/handler-context.ts';
import { perPageOf } from '../../control-plane/paging.ts';
import type { AccountRecord, ZoneRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';

type ZoneHandlers = Pick<ApiHandlers<Caller>, 'listAccounts' | 'getAccount' | 'listZones' | 'getZone'>;

export function createZoneHandlers(store: Store): ZoneHandlers {
  const requireAccount = async ({ accountTag }: Caller): Promise<AccountRecord> => {
    const account = await store.accounts.get(accountTag);
    if (account === undefined) throw apiProblem('notFound', 'Account not found');
    return account;
  };
  return {
    async listAccounts({ query }, caller) {
      const own = [await requireAccount(caller)].filter(({ name }) => query.name === undefined || name === query.name);
      const page = pageOf(own, { page: query.page, perPage: perPageOf(query) });
      return { items: page.items.map(showAccount), total: page.total };
    },

    async getAccount(_input, caller) {
      return showAccount(await requireAccount(caller));
    },

    async listZones({ query }, caller) {
      const account = await requireAccount(caller);
      const zones = (await store.accounts.zonesOf(account.tag)).filter(
        zone =>
          (query.name === undefined || zone.domain === query.name.toLowerCase()) &&
          (query.status === undefined || query.status === 'active') &&
          (query['account.id'] === undefined || account.tag === query['account.id']) &&
          (query['account.name'] === undefined || account.name === query['account.name']),
      );
      const page = pageOf(zones, { page: query.page, perPage: perPageOf(query) });
      return { items: page.items.map(zone => showZone(zone, account)), total: page.total };
    },

    async getZone({ params }, caller) {
      const zone = await store.accounts.zone(params.zone);
      if (zone === undefined) throw apiProblem('notFound', 'Zone not found');
      return showZone(zone, await requireAccount(caller));
    },
  };
}

function showAccount(account: AccountRecord) {
  return { id: account.tag, name: account.name, type: 'standard', created_on: formatTime(account.createdAtMs) };
}

/** A zone is as old as its account. No name servers: whoever serves its domain's DNS leads all names to the edge. */
function showZone(zone: ZoneRecord, account: AccountRecord) {
  const since = formatTime(account.createdAtMs);
  return {
    ...{ id: zone.id, name: zone.domain, status: 'active', paused: false, type: 'full' },
    account: { id: account.tag, name: account.name },
    name_servers: [],
    ...{ created_on: since, modified_on: since, activated_on: since },
  };
}
