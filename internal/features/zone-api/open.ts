// Accounts, zones and DNS records as a feature of an edge, for clients that only know the public v4 API: a record is a
// public host name that leads to a tunnel.

import { type ServedCall, serveTable } from '../../control-plane/served-call.ts';
import type { Store } from '../../store/contract/store.ts';
import { createDnsRecordHandlers } from './dns-record-handlers.ts';
import { createZoneHandlers } from './zone-handlers.ts';

export interface ZoneApi extends AsyncDisposable {
  readonly api: readonly ServedCall[];
}

/** Opens nothing that must be closed. `now` is wall clock, for what is stored. */
export function openZoneApi({
  store,
  now = Date.now,
}: {
  readonly store: Store;
  readonly now?: () => number;
}): ZoneApi {
  return {
    api: serveTable({ ...createZoneHandlers(store), ...createDnsRecordHandlers({ store, now }) }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
