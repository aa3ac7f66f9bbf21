// API calls on health monitors.

import type { ApiHandlers } from '../../api/routes.ts';
import { type Caller, pageOf } from '../../control-plane/handler-context.ts';
import { perPageOf } from '../../control-plane/paging.ts';
import { type MonitorDocument, putMonitorSchema } from '../../schema/api/load-balancing.ts';
import type { BalancingRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { Documents, type NewDocument, show } from './documents.ts';
import { withChanges } from './patch.ts';

type MonitorHandlers = Pick<
  ApiHandlers<Caller>,
  'listMonitors' | 'createMonitor' | 'getMonitor' | 'putMonitor' | 'patchMonitor' | 'deleteMonitor'
>;

export function createMonitorHandlers(store: Store, now: () => number): MonitorHandlers {
  const documents = new Documents(store, 'monitor', now);
  const toNew = (document: MonitorDocument): NewDocument => ({ name: '', document, uses: [] });
  return {
    async listMonitors({ query }, caller) {
      const page = pageOf(await documents.list(caller), { page: query.page, perPage: perPageOf(query) });
      return { items: page.items.map(showMonitor), total: page.total };
    },
    async createMonitor({ body }, caller) {
      return showMonitor(await documents.create(caller, toNew(body)));
    },
    async getMonitor({ params }, caller) {
      return showMonitor(await documents.get(caller, params.id));
    },
    async putMonitor({ params, body }, caller) {
      return showMonitor(await documents.change(await documents.get(caller, params.id), toNew(body)));
    },
    async patchMonitor({ params, body }, caller) {
      const record = await documents.get(caller, params.id);
      return showMonitor(await documents.change(record, toNew(withChanges(readMonitor(record), body))));
    },
    async deleteMonitor({ params }, caller) {
      return documents.remove(caller, await documents.get(caller, params.id));
    },
  };
}

function readMonitor(record: BalancingRecord): MonitorDocument {
  return putMonitorSchema.parse(JSON.parse(record.document));
}

function showMonitor(record: BalancingRecord) {
  return show(record, readMonitor(record));
}
