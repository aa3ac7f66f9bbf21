// API call that leads public host names to a tunnel. Source: docs/protocol/commands-and-api.md §9.4, §5.5.

import type { ApiHandlers } from '../api/routes.ts';
import { apiProblem } from './api-problem.ts';
import { type Caller, type ControlPlaneParts, requireTunnel } from './handler-context.ts';
import { hostnameTaken, parsePublicHostname } from './public-hostname.ts';

export function createHostnameHandlers(parts: ControlPlaneParts): Pick<ApiHandlers<Caller>, 'addRoute'> {
  return {
    async addRoute({ params, body }, caller) {
      const zone = await parts.store.accounts.zone(params.zone);
      if (zone === undefined) throw apiProblem('notFound', 'Zone not found');
      const tunnel = await requireTunnel(parts, caller, params.id);
      if (body.type === 'lb') {
        if (parts.balanceRoute === undefined)
          throw apiProblem('invalid', 'This edge has no load balancers; run several connectors of one tunnel instead');
        const balanced = parsePublicHostname(body.lb_name, zone.domain);
        return parts.balanceRoute({ hostname: balanced, zoneId: zone.id, poolName: body.lb_pool, tunnel }, caller);
      }
      const hostname = parsePublicHostname(body.user_hostname, zone.domain);
      const present = await parts.store.hostnames.get(hostname);
      if (present?.accountTag === caller.accountTag) caller.replaces?.({ hostname, tunnel_id: present.tunnelId });
      const outcome = await parts.store.hostnames.route(
        { hostname, tunnelId: tunnel.id, accountTag: caller.accountTag, createdAtMs: parts.now(), tls: body.tls },
        { overwrite: body.overwrite_existing },
      );
      if (outcome === 'taken' || outcome === 'foreign') {
        const advice = outcome === 'taken' ? '; use --overwrite-dns to lead it to this one' : '';
        throw hostnameTaken(hostname, advice);
      }
      return { cname: outcome, name: hostname };
    },
  };
}
