// `originRequest` as written → every field resolved. Source: docs/protocol/ingress-and-origin.md §4, §6 (ipRules), §12
// (access).

import { isIP } from 'node:net';
import type { OriginRequestDocument } from './ingress-document.ts';
import type { AccessPolicy, IpRule, OriginRequest } from './origin-request.ts';

/** The fields that are there, over `base`. `ipRules` that are invalid are left out: report them first where they matter. */
export function resolveOriginRequest(document: OriginRequestDocument, base: OriginRequest): OriginRequest {
  const { ipRules, access } = document;
  return {
    connectTimeoutMs: document.connectTimeout ?? base.connectTimeoutMs,
    tlsTimeoutMs: document.tlsTimeout ?? base.tlsTimeoutMs,
    tcpKeepAliveMs: document.tcpKeepAlive ?? base.tcpKeepAliveMs,
    noHappyEyeballs: document.noHappyEyeballs ?? base.noHappyEyeballs,
    keepAliveConnections: document.keepAliveConnections ?? base.keepAliveConnections,
    keepAliveTimeoutMs: document.keepAliveTimeout ?? base.keepAliveTimeoutMs,
    httpHostHeader: document.httpHostHeader ?? base.httpHostHeader,
    originServerName: document.originServerName ?? base.originServerName,
    matchSNItoHost: document.matchSNItoHost ?? base.matchSNItoHost,
    caPool: document.caPool ?? base.caPool,
    noTLSVerify: document.noTLSVerify ?? base.noTLSVerify,
    disableChunkedEncoding: document.disableChunkedEncoding ?? base.disableChunkedEncoding,
    bastionMode: document.bastionMode ?? base.bastionMode,
    proxyAddress: document.proxyAddress ?? base.proxyAddress,
    proxyPort: document.proxyPort ?? base.proxyPort,
    proxyType: document.proxyType ?? base.proxyType,
    ipRules:
      ipRules === undefined ? base.ipRules : ipRules.filter(rule => ipRuleFault(rule) === undefined).map(toIpRule),
    http2Origin: document.http2Origin ?? base.http2Origin,
    access: access === undefined ? base.access : toAccessPolicy(access),
  };
}

type IpRuleDocument = NonNullable<OriginRequestDocument['ipRules']>[number];

/** What is wrong with one ipRules item, in the words of cloudflared, and which field it is. */
export function ipRuleFault(
  rule: IpRuleDocument,
): { text: string; field: (string | number)[]; remedy: string } | undefined {
  const prefix = rule.prefix ?? '';
  const cidr = 'Write an address range such as "10.0.0.0/8".';
  if (prefix === '') return { text: 'no prefix provided', field: [], remedy: `Add a prefix. ${cidr}` };
  if (!isCidr(prefix)) return { text: `unable to parse cidr: ${prefix}`, field: ['prefix'], remedy: cidr };
  for (const [at, port] of (rule.ports ?? []).entries()) {
    if (port >= 1 && port <= 65_535) continue;
    const text = `invalid port ${port}, needs to be between 1 and 65535`;
    return { text, field: ['ports', at], remedy: 'Leave ports out to mean every port.' };
  }
  return undefined;
}

function isCidr(text: string): boolean {
  const [, address = '', bits = ''] = /^([0-9A-Fa-f:.]+)\/(\d{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(bits) <= (version === 4 ? 32 : 128);
}

function toIpRule(rule: IpRuleDocument): IpRule {
  return { prefix: rule.prefix ?? '', ports: rule.ports ?? [], allow: rule.allow ?? false };
}

function toAccessPolicy(access: NonNullable<OriginRequestDocument['access']>): AccessPolicy {
  return {
    required: access.required ?? false,
    teamName: access.teamName ?? '',
    audTag: access.audTag ?? [],
    environment: access.environment ?? '',
  };
}
