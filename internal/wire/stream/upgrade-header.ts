// Names and values of the headers that only connector and edge exchange, all lower case. Source:
// docs/protocol/edge-protocol.md §10.2 (kinds of request), §10.4 (response headers), §12 (tracing).

/** Says what a request from the edge is, beside plain HTTP. Never passed to an origin. */
export const upgradeHeader = 'cf-cloudflared-proxy-connection-upgrade';
/** Values of `upgradeHeader`, compared exactly. */
export const upgradeValues = {
  controlStream: 'control-stream',
  websocket: 'websocket',
  configuration: 'update-configuration',
} as const;
/** Present and not empty on a TCP stream; production puts the client's address there. */
export const tcpSourceHeader = 'cf-cloudflared-proxy-src';
/** The user's response headers, serialised (response-headers.ts). */
export const responseHeadersHeader = 'cf-cloudflared-response-headers';
/** Who made the response (response-meta.ts). */
export const responseMetaHeader = 'cf-cloudflared-response-meta';
/** Spans that the connector recorded of a request: base64 of OTLP's TracesData. */
export const spansHeader = 'cf-int-cloudflared-tracing';

export type UpgradeKind = 'control' | 'configuration' | 'websocket' | 'tcp' | 'http';

/**
 * What a request is, from the values of `upgradeHeader` and `tcpSourceHeader`. The order of the tests is the recorded
 * connector's: a websocket upgrade wins over a TCP source, which wins over a control stream.
 */
export function classifyRequest(upgrade: string | undefined, tcpSource: string | undefined): UpgradeKind {
  if (upgrade === upgradeValues.configuration) return 'configuration';
  if (upgrade === upgradeValues.websocket) return 'websocket';
  if (tcpSource !== undefined && tcpSource !== '') return 'tcp';
  if (upgrade === upgradeValues.controlStream) return 'control';
  return 'http';
}
