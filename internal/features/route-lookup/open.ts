// Tells the owner of a tunnel which of its routes or load balancers a host name takes, as visitors' requests take it: `postern explain` asks.

import { apiProblem } from '../../control-plane/api-problem.ts';
import { type ServedCall, serveTable } from '../../control-plane/served-call.ts';
import type { Store } from '../../store/contract/store.ts';
import type { HostnameTable } from '../../visitors/routing/hostname-table.ts';

export interface RouteLookup extends AsyncDisposable {
  readonly api: readonly ServedCall[];
}

/** Opens nothing that must be closed. */
export function openRouteLookup({
  store,
  hostnames,
}: {
  readonly store: Store;
  readonly hostnames: HostnameTable;
}): RouteLookup {
  return {
    api: serveTable({
      async findRoute({ params }, caller) {
        const route = hostnames.routeOf(params.host);
        // A route of another account is told like one that is not there, so that names cannot be probed.
        if (route?.accountTag !== caller.accountTag)
          throw apiProblem('notFound', 'No route leads this host name to a tunnel');
        const { hostname, tunnelId } = route;
        if (tunnelId !== undefined) return { hostname, tunnel_id: tunnelId };
        const records = await store.balancing.list(caller.accountTag);
        const balancer = records.find(one => one.kind === 'balancer' && one.name === hostname);
        const pools = records.filter(one => balancer?.uses.includes(one.id) === true).map(one => one.name);
        return { hostname, pools };
      },
    }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
