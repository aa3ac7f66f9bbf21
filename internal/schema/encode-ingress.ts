// IngressConfig → JSON, as the connector shows it: the local configuration sent to the edge after registration, and the
// /config endpoint. Durations are seconds, possibly fractional. Source: docs/protocol/edge-protocol.md §8.4,
// docs/protocol/ingress-and-origin.md §5, docs/protocol/commands-and-api.md §13.

import { formatDuration } from './duration.ts';
import { type IngressConfig, type IngressRule, type WarpRouting, warpRoutingDefaults } from './ingress-rule.ts';
import { type OriginRequest, originRequestDefaults } from './origin-request.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** Short form: empty host names and paths and settings at their defaults are left out. */
export function encodeIngressJson(config: IngressConfig): JsonObject {
  return {
    ingress: config.rules.map(rule => ({
      ...(rule.hostname === '' ? {} : { hostname: rule.hostname }),
      ...(rule.path === '' ? {} : { path: rule.path }),
      service: rule.service.text,
      originRequest: differences(encodeOriginRequest(rule.originRequest), encodeOriginRequest(originRequestDefaults)),
    })),
    'warp-routing': differences(encodeWarpRouting(config.warpRouting), encodeWarpRouting(warpRoutingDefaults)),
  };
}

/** As it stands in a config file: the short form, durations with their units. */
export function encodeIngressFile(config: IngressConfig): JsonObject {
  const { ingress, 'warp-routing': warpRouting } = encodeIngressJson(config) as {
    readonly ingress: readonly JsonObject[];
    readonly 'warp-routing': JsonObject;
  };
  const rules = ingress.map(({ originRequest, ...rule }) => {
    const own = withUnits(originRequest as JsonObject);
    return Object.keys(own).length === 0 ? rule : { ...rule, originRequest: own };
  });
  const routing = withUnits(warpRouting);
  return { ingress: rules, ...(Object.keys(routing).length === 0 ? {} : { 'warp-routing': routing }) };
}

const durations = new Set(['connectTimeout', 'tlsTimeout', 'tcpKeepAlive', 'keepAliveTimeout']);

function withUnits(settings: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) =>
      durations.has(key) && typeof value === 'number' ? [key, formatDuration(value * 1000)] : [key, value],
    ),
  );
}

/**
 * The document of updateLocalConfiguration: the short form with the flags that were set, as texts. The caller leaves
 * out flags that hold secrets.
 */
export function encodeLocalConfiguration(config: IngressConfig, flags: Readonly<Record<string, string>>): string {
  return JSON.stringify({ __configuration_flags: flags, ...encodeIngressJson(config) });
}

/** Long form, of /config: every field of every rule, top-level settings merged in. */
export function encodeFullIngressJson(config: IngressConfig): JsonObject {
  const top = config.originRequest ?? originRequestDefaults;
  return {
    ingress: config.rules.map(rule => encodeFullRule(rule, top)),
    'warp-routing': encodeWarpRouting(config.warpRouting),
    originRequest: encodeOriginRequest(top),
  };
}

function encodeFullRule(rule: IngressRule, top: OriginRequest): JsonObject {
  const required = rule.originRequest.access?.required === true;
  return {
    hostname: rule.hostname,
    path: rule.path === '' ? null : rule.path,
    service: rule.service.text,
    Handlers: required ? ['AccessJWTValidator'] : null,
    originRequest: encodeOriginRequest({ ...rule.originRequest, access: rule.originRequest.access ?? top.access }),
  };
}

function encodeWarpRouting(routing: WarpRouting): JsonObject {
  return {
    connectTimeout: routing.connectTimeoutMs / 1000,
    tcpKeepAlive: routing.tcpKeepAliveMs / 1000,
    maxActiveFlows: routing.maxActiveFlows,
  };
}

function encodeOriginRequest(request: OriginRequest): JsonObject {
  const { access } = request;
  return {
    connectTimeout: request.connectTimeoutMs / 1000,
    tlsTimeout: request.tlsTimeoutMs / 1000,
    tcpKeepAlive: request.tcpKeepAliveMs / 1000,
    noHappyEyeballs: request.noHappyEyeballs,
    keepAliveTimeout: request.keepAliveTimeoutMs / 1000,
    keepAliveConnections: request.keepAliveConnections,
    httpHostHeader: request.httpHostHeader,
    originServerName: request.originServerName,
    matchSNItoHost: request.matchSNItoHost,
    caPool: request.caPool,
    noTLSVerify: request.noTLSVerify,
    disableChunkedEncoding: request.disableChunkedEncoding,
    bastionMode: request.bastionMode,
    proxyAddress: request.proxyAddress,
    proxyPort: request.proxyPort,
    proxyType: request.proxyType,
    ipRules: request.ipRules.map(({ prefix, ports, allow }) => ({ prefix, ports, allow })),
    http2Origin: request.http2Origin,
    ...(access === undefined ? {} : { access: { ...access } }),
  };
}

/** The members of `value` that differ from `base`. */
function differences(value: JsonObject, base: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(value).filter(([key, member]) => JSON.stringify(member) !== JSON.stringify(base[key])),
  );
}
