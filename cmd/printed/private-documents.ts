// Private routes, host names and virtual networks as `--output` prints them; those that cloudflared has, in its shapes.
// Source: docs/protocol/commands-and-api.md §5.5.

import { parsePrefix } from '../../internal/net/address/prefix.ts';
import type { ApiIpRoute, ApiNetwork, ApiPrivateHostname } from '../../internal/schema/api/private-route.ts';
import { type Printed, printNullableList, printTime } from './tunnel-documents.ts';

/** A server may leave out what it has no word for. */
type LooseRoute = { readonly [Key in keyof ApiIpRoute]?: ApiIpRoute[Key] | undefined };

/** Of `route ip get`. */
export function printIpRoute(route: LooseRoute): Printed {
  const { id, network = '', tunnel_id, virtual_network_id, comment, tunnel_name } = route;
  const [created, deleted] = [printTime(route.created_at), printTime(route.deleted_at)];
  return {
    json: {
      ...{ id, network, tunnel_id, virtual_network_id, comment },
      ...{ created_at: created, deleted_at: deleted, tunnel_name },
    },
    yaml: {
      ...{ id, network: addressAndMask(network), tunnelid: tunnel_id, vnetid: virtual_network_id ?? null, comment },
      ...{ createdat: created, deletedat: deleted, tunnelname: tunnel_name },
    },
  };
}

/** Of `route ip show`. */
export function printIpRoutes(routes: readonly ApiIpRoute[]): Printed {
  return printNullableList(routes.map(printIpRoute));
}

/** `10.0.0.0/8` as Go prints a network in YAML: the address, and the mask byte by byte. */
function addressAndMask(network: string): unknown {
  const prefix = parsePrefix(network);
  if (prefix === undefined) return network;
  const mask = Array.from(prefix.bytes, (_, at) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix.bits - at * 8))));
  return { ip: network.split('/')[0], mask };
}

/** Of `vnet list`. */
export function printNetworks(networks: readonly ApiNetwork[]): Printed {
  const printed = networks.map(({ id, comment, name, is_default_network, created_at, deleted_at }) => {
    const [created, deleted] = [printTime(created_at), printTime(deleted_at)];
    return {
      json: { id, comment, name, is_default_network, created_at: created, deleted_at: deleted },
      yaml: { id, comment, name, isdefault: is_default_network, createdat: created, deletedat: deleted },
    };
  });
  return { json: printed.map(({ json }) => json), yaml: printed.map(({ yaml }) => yaml) };
}

/** Of `route hostname show`, which cloudflared does not have: one form for both formats. */
export function printPrivateHostnames(routes: readonly ApiPrivateHostname[]): Printed {
  const printed = routes.map(({ id, hostname, tunnel_id, tunnel_name, virtual_network_id, comment, ...times }) => ({
    ...{ id, hostname, tunnel_id, tunnel_name, virtual_network_id, comment },
    ...{ created_at: printTime(times.created_at), deleted_at: printTime(times.deleted_at) },
  }));
  return { json: printed, yaml: printed };
}
