// A call of the API together with what answers it, as the control plane serves it: the core's and those of features.

import type { ApiRoute } from '../api/route.ts';
import { type ApiCall, type ApiHandler, type ApiHandlers, apiRoutes } from '../api/routes.ts';
import type { Caller, Stranger } from './handler-context.ts';

export interface ServedCall {
  readonly route: ApiRoute;
  /** Runs after the owner was checked and the documents were parsed by the route's schemas. */
  readonly handle: (
    input: { readonly params: Record<string, string>; readonly query: unknown; readonly body: unknown },
    caller: Caller,
  ) => Promise<unknown>;
}

/** Serves one call; what anyone may call gets no account to work with. */
export function serveCall<R extends ApiRoute>(
  route: R,
  handle: ApiHandler<R, R['owner'] extends 'anyone' ? Stranger : Caller>,
): ServedCall {
  // Documents are parsed by the route's own schemas, so the handler gets what its type says.
  return { route, handle: handle as unknown as ServedCall['handle'] };
}

/** Serves calls of the one table. */
export function serveTable(handlers: Partial<ApiHandlers<Caller>>): readonly ServedCall[] {
  return Object.entries(handlers).map(([name, handle]) => ({
    route: apiRoutes[name as ApiCall],
    handle: handle as unknown as ServedCall['handle'],
  }));
}
