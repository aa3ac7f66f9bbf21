// Maps the seam's heads to HTTP/2 header lists and back. Source: docs/protocol/edge-protocol.md §10.2, §10.4–10.8.

import { PosternError } from '../../errors/error.ts';
import {
  decodeResponseHeaders,
  encodeResponseHeaders,
  withoutProtocolHeaders,
} from '../../wire/stream/response-headers.ts';
import { parseResponseMeta, responseMetaValues } from '../../wire/stream/response-meta.ts';
import {
  classifyRequest,
  responseHeadersHeader,
  responseMetaHeader,
  spansHeader,
  tcpSourceHeader,
  upgradeHeader,
  upgradeValues,
} from '../../wire/stream/upgrade-header.ts';
import type { EdgeResponse, RequestHead, ResponseHead, StreamKind, StreamRefusal } from '../transport.ts';

/** Connection-specific names that HTTP/2 forbids (RFC 9113 §8.2.2); `te` is allowed with the value `trailers` only. */
const forbidden = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
]);

/** Head → raw HTTP/2 request headers. Names of the protocol between the ends never come from a visitor. */
export function encodeRequestHead(head: RequestHead): string[] {
  const raw = [':method', head.method, ':scheme', head.scheme, ':authority', head.host, ':path', head.path];
  if (head.kind === 'websocket') {
    raw.push(upgradeHeader, upgradeValues.websocket);
  } else if (head.kind === 'tcp') {
    raw.push(tcpSourceHeader, head.source ?? 'edge');
  }
  const { headers } = head;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase();
    const value = headers[index + 1] ?? '';
    if (forbidden.has(name) || name.startsWith('cf-cloudflared-') || (name === 'te' && value !== 'trailers')) continue;
    raw.push(name, value);
  }
  return raw;
}

/** Raw headers of the request that opens the control stream (docs/protocol/edge-protocol.md §10.3). */
export const controlRequest: readonly string[] = [
  ':method',
  'POST',
  ':scheme',
  'https',
  ':authority',
  'localhost:8080',
  ':path',
  '/',
  upgradeHeader,
  upgradeValues.controlStream,
];

/** Raw HTTP/2 request headers → head, or what else it is than a visitor's. Throws 'protocol.malformed'. */
export function decodeRequestHead(
  raw: readonly string[],
  endOfStream: boolean,
): RequestHead | 'control' | 'configuration' {
  let method = '';
  let scheme = 'http';
  let host = '';
  let path = '';
  let upgrade: string | undefined;
  let source: string | undefined;
  let length: string | undefined;
  let cookieAt = -1;
  const headers: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const value = raw[index + 1] ?? '';
    switch (name) {
      case ':method':
        method = value;
        break;
      case ':scheme':
        scheme = value;
        break;
      case ':authority':
        host = value;
        break;
      case ':path':
        path = value;
        break;
      case upgradeHeader:
        upgrade = value;
        break;
      case tcpSourceHeader:
        source = value;
        break;
      case 'cookie':
        // HTTP/2 may split it into one field a cookie; everybody else wants one (RFC 9113 §8.2.3).
        if (cookieAt === -1) cookieAt = headers.push(name, value) - 1;
        else headers[cookieAt] += `; ${value}`;
        break;
      case 'content-length':
        if (length !== undefined && length !== value)
          throw new PosternError('protocol.malformed', 'The request has two different Content-Length values.');
        length = value;
        headers.push(name, value);
        break;
      default:
        headers.push(name, value);
    }
  }
  const kind = classifyRequest(upgrade, source);
  if (kind === 'control' || kind === 'configuration') return kind;
  return {
    kind,
    method,
    scheme,
    host,
    path: path === '' ? '/' : path,
    headers,
    bodyLength: kind === 'http' ? bodyLength(length, endOfStream) : -1,
    ...(source === undefined ? {} : { source }),
  };
}

function bodyLength(length: string | undefined, endOfStream: boolean): number {
  if (endOfStream) return 0;
  if (length === undefined) return -1;
  if (!/^\d{1,15}$/.test(length))
    throw new PosternError(
      'protocol.malformed',
      `Content-Length ${JSON.stringify(length.slice(0, 32))} is not a number of bytes.`,
    );
  return Number(length);
}

/** Response head → raw HTTP/2 response headers: 101 travels as 200, the origin's headers serialised in one. */
export function encodeResponseHead(head: ResponseHead): string[] {
  const raw = [
    ':status',
    head.status === 101 ? '200' : String(head.status),
    responseHeadersHeader,
    encodeResponseHeaders(head.headers),
    responseMetaHeader,
    responseMetaValues.origin,
  ];
  const { headers } = head;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (name.length === 14 && name.toLowerCase() === 'content-length')
      raw.push('content-length', headers[index + 1] ?? '');
  }
  if (head.spans !== undefined && head.spans !== '') raw.push(spansHeader, head.spans);
  return raw;
}

/** Raw headers of the answer to a request that failed at the connector (docs/protocol/edge-protocol.md §10.7). */
export function encodeRefusal(refusal: StreamRefusal): string[] {
  return [
    ':status',
    '502',
    responseMetaHeader,
    responseMetaValues[
      refusal.rateLimited === true ? 'rate-limited' : refusal.dialRefused === true ? 'dial-refused' : 'connector'
    ],
    'content-length',
    '0',
  ];
}

/**
 * HTTP/2 response → what the edge may show. Throws 'origin.unreachable', 'origin.refused' or 'flow.limit' when the connector says that it
 * failed, 'protocol.malformed' when the serialised headers are broken.
 */
export function decodeResponseHead(
  kind: StreamKind,
  status: number,
  serialized: string | undefined,
  meta: string | undefined,
  spans: string | undefined,
): EdgeResponse {
  const source = meta === undefined ? 'origin' : parseResponseMeta(meta);
  if (source === 'rate-limited') throw new PosternError('flow.limit', 'The connector is at its limit of active flows.');
  if (source === 'dial-refused') throw new PosternError('origin.refused', 'The destination refused the connection.');
  if (source === 'connector') {
    throw new PosternError('origin.unreachable', 'The connector could not reach the origin; its log names the cause.');
  }
  const headers = serialized === undefined ? [] : withoutProtocolHeaders(decodeResponseHeaders(serialized));
  const shown = kind === 'websocket' && status === 200 && acceptsUpgrade(headers) ? 101 : status;
  return spans === undefined ? { status: shown, headers } : { status: shown, headers, spans };
}

function acceptsUpgrade(headers: readonly string[]): boolean {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]?.toLowerCase();
    if (name === 'upgrade' || name === 'sec-websocket-accept') return true;
  }
  return false;
}
