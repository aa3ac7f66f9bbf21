// The API of private networks as a feature of an edge: routes by prefix and by host name, virtual networks, echo requests.
// Source: docs/protocol/commands-and-api.md §9.5, §9.6.

import { type ServedCall, serveTable } from '../../control-plane/served-call.ts';
import type { EchoService } from '../../on-ramps/echo/echo-service.ts';
import type { Store } from '../../store/contract/store.ts';
import { createEchoHandler } from './echo-handler.ts';
import { createHostnameRouteHandlers } from './hostname-route-handlers.ts';
import { createIpRouteHandlers } from './ip-route-handlers.ts';
import { createNetworkHandlers } from './network-handlers.ts';

export interface PrivateNetworkApiParts {
  readonly store: Store;
  /** Sends echo requests; without it the edge has no such call. The caller closes it. */
  readonly echo?: EchoService | undefined;
  /** Wall clock, for what is stored. */
  readonly now?: (() => number) | undefined;
}

export interface PrivateNetworkApi extends AsyncDisposable {
  readonly api: readonly ServedCall[];
}

/** Opens nothing that must be closed. */
export function openPrivateNetworkApi({ store, echo, now = Date.now }: PrivateNetworkApiParts): PrivateNetworkApi {
  const parts = { store, now };
  return {
    api: serveTable({
      ...createIpRouteHandlers(parts),
      ...createHostnameRouteHandlers(parts),
      ...createNetworkHandlers(parts),
      ...(echo === undefined ? {} : createEchoHandler(echo)),
    }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
