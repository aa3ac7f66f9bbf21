// API call that leads public host names to a tunnel. Source: docs/protocol/commands-and-api.md §9.4, §5.5.

import { domainToASCII } from 'node:url';
import type { ApiHandlers } from '../api/routes.ts';
import { apiProblem } from './api-problem.ts';
import { type Caller, type ControlPlaneParts, requireTunnel } from './handler-context.ts';

export function createHostnameHandlers(parts: ControlPlaneParts): Pick<ApiHandlers<Caller>, 'addRoute'> {
  return {
    async addRoute({ params, body }, caller) {
      const zone = await parts.store.accounts.zone(params.zone);
      if (zone === undefined) throw apiProblem('notFound', 'Zone not found');
      const tunnel = await requireTunnel(parts, caller, params.id);
      if (body.type === 'lb') {
        throw apiProblem('invalid', 'This edge has no load balancers; run several connectors of one tunnel instead');
      }
      const hostname = parseHostname(body.user_hostname, zone.domain);
      if (hostname === parts.reservedHost) {
        throw apiProblem('hostnameTaken', `The host name ${hostname} is kept for this edge itself; choose another`);
      }
      const outcome = await parts.store.hostnames.route(
        { hostname, tunnelId: tunnel.id, accountTag: caller.accountTag, createdAtMs: parts.now() },
        { overwrite: body.overwrite_existing },
      );
      if (outcome === 'taken' || outcome === 'foreign') {
        const advice = outcome === 'taken' ? '; use --overwrite-dns to lead it to this one' : '';
        throw apiProblem('hostnameTaken', `The host name ${hostname} leads to another tunnel${advice}`);
      }
      return { cname: outcome, name: hostname };
    },
  };
}

/** The full ASCII name in the zone; a name outside the zone is taken as one below it. Throws `api.invalid`. */
function parseHostname(text: string, domain: string): string {
  const wildcard = text.startsWith('*.') ? '*.' : '';
  const given = text.slice(wildcard.length).replace(/\.$/, '');
  // Checked first: the conversion parses like a URL's host, so it would drop what follows `/`, `?` or `:`.
  const ascii = /^[-_.a-zA-Z0-9\u0080-\u{10ffff}]+$/u.test(given) ? domainToASCII(given).toLowerCase() : '';
  const base = ascii === domain || ascii.endsWith(`.${domain}`) ? ascii : `${ascii}.${domain}`;
  const hostname = wildcard + base;
  const isName = /^[_a-z0-9]([-_a-z0-9]{0,61}[_a-z0-9])?(\.[_a-z0-9]([-_a-z0-9]{0,61}[_a-z0-9])?)*$/.test(base);
  if (ascii === '' || !isName || hostname.length > 253) {
    throw apiProblem('invalid', `${JSON.stringify(text)} is not a valid host name`);
  }
  return hostname;
}
