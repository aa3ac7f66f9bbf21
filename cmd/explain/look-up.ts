// What the edge's API and the config file of this machine tell of the way of a request: route, tunnel, connections, rule.

import type { ConfigFile } from '../../internal/config/file/config-file.ts';
import { describeError, isPosternError } from '../../internal/errors/error.ts';
import { createMatcher } from '../../internal/ingress/match.ts';
import type { IngressConfig } from '../../internal/schema/ingress-rule.ts';
import { parseRemoteConfig } from '../../internal/schema/remote-config.ts';
import type { ApiSession } from '../tunnel/api.ts';
import { countByLocation } from '../tunnel/list.ts';
import type { Findings, HopName } from './hops.ts';

export interface LookedUp {
  readonly findings: Findings;
  /** The first hop that cannot let the request through, as far as the API knows. */
  readonly broken: HopName | undefined;
}

/** Never rejects: the API is of help, not needed. `file` is this machine's config file. */
export async function lookUp(api: ApiSession, url: URL, file: ConfigFile | undefined): Promise<LookedUp> {
  // Other edges of this protocol have no such call: their credentials name no API of their own.
  if (api.cert.apiUrl === undefined) return nothing;
  try {
    return await ask(api, url, file);
  } catch (error) {
    return { findings: { route: { text: `not known: ${describeError(error)}` } }, broken: undefined };
  }
}

const nothing: LookedUp = { findings: {}, broken: undefined };

async function ask({ account, client }: ApiSession, url: URL, file: ConfigFile | undefined): Promise<LookedUp> {
  const host = url.hostname;
  const route = await client.findRoute({ params: { account, host } }).catch((error: unknown) => {
    if (isPosternError(error, 'api.not-found')) return undefined;
    throw error;
  });
  if (route === undefined) {
    const text = `no route of this account leads ${host} to a tunnel`;
    const remedy = `postern tunnel route dns TUNNEL ${host}`;
    return { findings: { route: { text, remedy } }, broken: 'route' };
  }
  const { tunnel_id: id, pools = [] } = route;
  if (id === undefined) {
    const text = `${route.hostname} is spread over ${pools.join(', ')}`;
    const remedy = `see how the members are: postern tunnel pool health ${pools[0] ?? 'POOL'}`;
    return { findings: { route: { text, remedy } }, broken: undefined };
  }
  const params = { account, id };
  const [tunnel, connectors, configuration] = await Promise.all([
    client.getTunnel({ params }),
    client.listConnections({ params }),
    client.getConfiguration({ params }),
  ]);
  const live = connectors.flatMap(({ conns }) => conns.filter(one => !one.is_pending_reconnect));
  const config = configuration.config === null ? fileFor(file, tunnel) : parseRemoteConfig(configuration.config);
  const findings: Findings = {
    route: { text: route.hostname === host ? `${host} is routed` : `${host} is routed by ${route.hostname}` },
    tunnel: { text: `${tunnel.name} (${tunnel.id})` },
    ...(live.length === 0
      ? {
          connection: {
            text: 'no connector of this tunnel is connected',
            remedy: `start it: postern tunnel run ${tunnel.name}; if it runs, its log says why it does not connect`,
          },
        }
      : {
          connection: { text: `${live.length} registered: ${countByLocation(live, false)}` },
          connector: {
            text: connectors
              .map(one => `${one.id}, version ${one.version}, from ${one.conns[0]?.origin_ip}`)
              .join('; '),
          },
        }),
    ...ruleOf(config, url),
  };
  return { findings, broken: live.length === 0 ? 'connection' : undefined };
}

/** The config file counts when it is that tunnel's. */
function fileFor(file: ConfigFile | undefined, tunnel: { readonly id: string; readonly name: string }) {
  return file?.tunnel === tunnel.id || file?.tunnel === tunnel.name ? file.config : undefined;
}

/** Which rule takes the URL, by the tunnel's configuration. Nothing when that is not known here. */
export function ruleOf(config: IngressConfig | undefined, url: URL): Findings {
  if (config === undefined) return {};
  const rule = createMatcher(config.rules).match(url.hostname, `${url.pathname}${url.search}`);
  const conditions = [rule.hostname, rule.path].filter(text => text !== '').join(' ');
  const service = rule.service.text;
  return {
    rule: { text: `#${rule.index} ${conditions === '' ? '(all that is left)' : conditions} leads to ${service}` },
    origin: { text: service },
  };
}
