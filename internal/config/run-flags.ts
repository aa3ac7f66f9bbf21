// The flags that only `tunnel run` takes. Source: docs/protocol/commands-and-api.md §4.

import type { Flag } from './flag.ts';
import { atLeast } from './flag-checks.ts';
import { parseAllowedDestinations, parsedBy, parseResolverAddresses } from './list-values.ts';

/** Flags that only `tunnel run` takes. */
export const runFlags = [
  {
    name: 'credentials-contents',
    type: 'string',
    env: ['TUNNEL_CRED_CONTENTS'],
    secret: true,
    fromFile: true,
    valueName: 'JSON',
    description: "The tunnel's credentials themselves; beats --credentials-file",
  },
  {
    name: 'token',
    type: 'string',
    valueName: 'TOKEN',
    env: ['TUNNEL_TOKEN'],
    secret: true,
    fromFile: true,
    description:
      'Token of the tunnel; beats all other credentials. Prefer --token-file: arguments show in process lists',
  },
  {
    name: 'token-file',
    type: 'string',
    env: ['TUNNEL_TOKEN_FILE'],
    fromFile: true,
    valueName: 'FILE',
    description: 'File that holds the token of the tunnel; - is standard input',
  },
  {
    name: 'features',
    aliases: ['F'],
    type: 'list',
    valueName: 'NAME',
    fromFile: true,
    description: 'Protocol features to offer to the edge; repeatable',
  },
  {
    name: 'icmpv4-src',
    type: 'string',
    env: ['TUNNEL_ICMPV4_SRC'],
    fromFile: true,
    valueName: 'IP',
    description: 'Source address of ICMPv4 echo requests',
  },
  {
    name: 'icmpv6-src',
    type: 'string',
    env: ['TUNNEL_ICMPV6_SRC'],
    fromFile: true,
    valueName: 'IP',
    description: 'Source address, and interface, of ICMPv6 echo requests',
  },
  {
    name: 'max-active-flows',
    type: 'integer',
    env: ['TUNNEL_MAX_ACTIVE_FLOWS'],
    fromFile: true,
    check: atLeast('max-active-flows', 0),
    description: 'Private network flows at once at most; beats warp-routing.maxActiveFlows of every configuration',
  },
  {
    name: 'dns-resolver-addrs',
    type: 'list',
    env: ['TUNNEL_DNS_RESOLVER_ADDRS'],
    fromFile: true,
    valueName: 'IP:PORT',
    check: parsedBy(parseResolverAddresses),
    description: 'Resolvers for names in private networks, at most 10; repeatable',
  },
  {
    name: 'allow-destination',
    type: 'list',
    env: ['TUNNEL_ALLOW_DESTINATION'],
    fromFile: true,
    valueName: 'CIDR',
    check: parsedBy(parseAllowedDestinations),
    description:
      'Loopback, link-local or multicast addresses that private network traffic may reach all the same; repeatable',
  },
] as const satisfies readonly Flag[];
