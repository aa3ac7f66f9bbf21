// Users, groups, devices, API tokens and the audit log as a feature of an edge.

import { type ServedCall, serveTable } from '../../control-plane/served-call.ts';
import type { Store } from '../../store/contract/store.ts';
import { createAuditHandlers } from './audit-handlers.ts';
import { createDeviceHandlers, createTokenHandlers } from './token-handlers.ts';
import { createGroupHandlers, createUserHandlers } from './user-handlers.ts';

export interface People extends AsyncDisposable {
  readonly api: readonly ServedCall[];
}

/** Opens nothing that must be closed. `now` is wall clock, for what is stored. */
export function openPeople({ store, now = Date.now }: { readonly store: Store; readonly now?: () => number }): People {
  const parts = { store, now };
  return {
    api: serveTable({
      ...createUserHandlers(parts),
      ...createGroupHandlers(parts),
      ...createDeviceHandlers(parts),
      ...createTokenHandlers(parts),
      ...createAuditHandlers(parts),
    }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
