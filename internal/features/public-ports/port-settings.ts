// Where a public port leads behind its tunnel and what it lets through: from what a caller gives to what a listener works
// with. What is kept in the store is JSON of the API's form.

import type * as z from 'zod';
import { apiProblem } from '../../control-plane/api-problem.ts';
import { parseIp, unmapIpv4 } from '../../net/address/ip.ts';
import { formatPrefix, type Prefix, parsePrefix, prefixContains } from '../../net/address/prefix.ts';
import { isManagementHost } from '../../net/http/management-host.ts';
import type { ProxyVersion } from '../../net/proxy-protocol/proxy-header.ts';
import {
  formatPrivateTarget,
  type PrivateHost,
  parsePrivateHost,
  parsePrivateTarget,
} from '../../private-network/routes/private-host.ts';
import { portSettingsSchema } from '../../schema/api/public-port.ts';
import type { PortProtocol, PublicPortRecord } from '../../store/contract/records.ts';

type GivenSettings = z.output<typeof portSettingsSchema>;

export type PortTarget =
  /** The ingress rule of a host name at the connector. */
  | { readonly kind: 'ingress'; readonly hostname: string }
  /** What the connector dials. */
  | { readonly kind: 'private'; readonly host: PrivateHost; readonly port: number };

export interface PortSettings {
  readonly target: PortTarget;
  readonly proxyProtocol: ProxyVersion | undefined;
  /** Empty = everybody. */
  readonly allow: readonly Prefix[];
  /** 0 = for ever. */
  readonly idleMs: number;
  readonly maxConnections: number;
  readonly maxPerAddress: number;
}

/** A job may compute for that long without a word; who is gone is found by TCP keep-alive long before. */
const tcpIdleSeconds = 3_600;
/** Longer than the keep-alives of games and VPNs (25 s). */
const udpIdleSeconds = 60;

/** What is kept of a caller's settings, checked and in one form. Throws 'api.invalid'. */
export function settingsDocument(protocol: PortProtocol, port: number, given: GivenSettings): string {
  const { hostname, target, proxy_protocol: version, allow } = given;
  if (hostname !== undefined && target !== undefined)
    throw apiProblem('invalid', 'Give a host name of an ingress rule or a target to dial, not both');
  const leads = target === undefined ? { hostname: ingressName(protocol, port, hostname) } : targetOf(protocol, target);
  if (protocol === 'udp' && version === 'v1')
    throw apiProblem('invalid', 'Version 1 of the PROXY protocol has no UDP: use v2');
  const idle = given.idle_timeout ?? (protocol === 'tcp' ? tcpIdleSeconds : udpIdleSeconds);
  if (protocol === 'udp' && idle === 0)
    throw apiProblem('invalid', 'UDP sessions need an idle time: nothing else tells when they are over');
  const prefixes = allow.map(text => {
    const prefix = parsePrefix(text);
    if (prefix === undefined)
      throw apiProblem('invalid', `${JSON.stringify(text)} is no address or prefix such as 203.0.113.0/24`);
    return formatPrefix(prefix);
  });
  return JSON.stringify({ ...leads, proxy_protocol: version, allow: prefixes, idle_timeout: idle, ...limitsOf(given) });
}

function limitsOf({ max_connections, max_per_address }: GivenSettings) {
  return { max_connections, max_per_address };
}

function ingressName(protocol: PortProtocol, port: number, hostname: string | undefined): string {
  if (protocol === 'udp')
    throw apiProblem('invalid', 'A UDP port needs a target such as 10.0.0.5:51820: ingress rules know no UDP');
  // Any rule without a host name takes it; who has others may name it there.
  if (hostname === undefined) return `${protocol}-${port}`;
  const host = parsePrivateHost(hostname);
  if (host?.kind !== 'name') throw apiProblem('invalid', `${JSON.stringify(hostname)} is not a valid host name`);
  if (isManagementHost(host.name))
    throw apiProblem('invalid', `The host name ${host.name} is the connectors' own: name another`);
  return host.name;
}

function targetOf(protocol: PortProtocol, text: string): { readonly target: string } {
  const target = parsePrivateTarget(text);
  if (target === undefined)
    throw apiProblem('invalid', `${JSON.stringify(text)} is no target: give HOST:PORT such as 10.0.0.5:5432`);
  if (protocol === 'udp' && target.host.kind !== 'address')
    throw apiProblem('invalid', `${JSON.stringify(text)} is a name: a UDP port needs the address of its target`);
  return { target: formatPrivateTarget(target.host, target.port) };
}

/** The document of a record, as the API shows it. Throws what the schema does for one that is damaged. */
export function shownSettings({ document }: PublicPortRecord): GivenSettings {
  return portSettingsSchema.parse(JSON.parse(document));
}

/** What a listener works with. Throws for a damaged document. */
export function readSettings(record: PublicPortRecord): PortSettings {
  const shown = shownSettings(record);
  const { hostname, target, proxy_protocol, allow, idle_timeout = 0, max_connections, max_per_address } = shown;
  const parsed = target === undefined ? undefined : parsePrivateTarget(target);
  return {
    target: parsed === undefined ? { kind: 'ingress', hostname: hostname ?? '' } : { kind: 'private', ...parsed },
    proxyProtocol: proxy_protocol,
    allow: allow.flatMap(text => parsePrefix(text) ?? []),
    idleMs: idle_timeout * 1000,
    maxConnections: max_connections,
    maxPerAddress: max_per_address,
  };
}

/** Whether an address, as a socket tells it, may connect. */
export function isAllowed({ allow }: PortSettings, address: string | undefined): boolean {
  if (allow.length === 0) return true;
  const bytes = parseIp((address ?? '').replace(/%.*$/, ''));
  if (bytes === undefined) return false;
  const plain = unmapIpv4(bytes);
  return allow.some(prefix => prefixContains(prefix, plain));
}
