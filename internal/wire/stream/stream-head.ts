// The head of a QUIC request stream and of its answer, as both transports' ends use them: signature, version and
// ConnectRequest or ConnectResponse, with the metadata turned into method, host and headers.
// Source: docs/protocol/edge-protocol.md §9.2–9.3. The shapes match those of the transport seam without importing it.

import { PosternError } from '../../errors/error.ts';
import { isToken } from '../../net/http/field-name.ts';
import { measureHead } from './connect-codec.ts';
import { type ConnectionType, decodeConnectRequest, encodeConnectRequest } from './connect-request.ts';
import { decodeConnectResponse, encodeConnectResponse } from './connect-response.ts';
import { classifyStream, requestPreamble } from './preamble.ts';
import { upgradeHeader } from './upgrade-header.ts';

/** What the edge asks for. Strings hold one byte a character. */
export interface RequestStreamHead {
  readonly kind: ConnectionType;
  readonly method: string;
  readonly scheme: string;
  /** Host with optional port; for tcp the destination. */
  readonly host: string;
  /** Path with query, begins with `/`; `*` of an OPTIONS; `/` for tcp. */
  readonly path: string;
  /** Flat [name, value, …]. For tcp: metadata keys such as `FlowID` and `cf-trace-id` as they are. */
  readonly headers: readonly string[];
  /** Bytes of the body; 0 = none, -1 = unknown. */
  readonly bodyLength: number;
  /** tcp and websocket: the edge forwards a half-close, and wants to be told whether the connector does. */
  readonly halfClose?: boolean;
  /** tcp: address of whoever connected, `ip:port`. Between our own ends only. */
  readonly source?: string;
  /** http: the edge takes the answer's body in frames (body-frames.ts), for trailers. */
  readonly takesFrames?: boolean;
}

/** The answer: a response, or why there is none. */
export type ResponseStreamHead =
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly headers: readonly string[];
      /** The connector ends tcp and websocket streams one direction at a time. */
      readonly halfClose?: boolean;
      /** The body comes in frames (body-frames.ts). */
      readonly isFramed?: boolean;
    }
  | {
      readonly kind: 'refusal';
      readonly message: string;
      readonly rateLimited: boolean;
      readonly dialRefused: boolean;
    };

/** For building what is read-only afterwards. */
type Writable<T> = { -readonly [K in keyof T]: T[K] };

const methodKey = 'HttpMethod';
const hostKey = 'HttpHost';
const statusKey = 'HttpStatus';
const headerKey = 'HttpHeader';
const headerPrefix = 'HttpHeader:';
const rateLimitedKey = 'FlowConnectRateLimited';
// Our own; stock peers ignore keys they do not know, as long as those do not contain `HttpHeader`.
const halfCloseKey = 'PosternHalfClose';
const sourceKey = 'PosternSource';
const framesKey = 'PosternFrames';
const dialRefusedKey = 'PosternDialRefused';
const notHost = /[/?#@\\\u0000-\u0020\u007f]/;
const unsafeInTarget = /[\u0000-\u0020\u007f]/;

/**
 * Bytes of the head in all, as far as can be told from the first `bytes.length` of them: the head is complete exactly
 * when the result is at most that. Works for requests and responses. Throws 'protocol.malformed' for a wrong signature
 * and 'protocol.too-large'.
 */
export function measureStreamHead(bytes: Buffer): number {
  if (classifyStream(bytes) === 'rpc')
    throw new PosternError('protocol.malformed', 'An RPC stream came where a request stream was expected');
  const start = requestPreamble.length;
  return bytes.length <= start ? start + 8 : start + measureHead(bytes, start, bytes.length);
}

/** The head as one buffer: signature, version, message. */
export function encodeRequestHead(head: RequestStreamHead): Buffer {
  if (head.kind === 'tcp') {
    const own = head.halfClose === true ? [halfCloseKey, '1'] : [];
    if (head.source !== undefined) own.push(sourceKey, head.source);
    return encodeConnectRequest({ dest: head.host, type: 'tcp', metadata: [...head.headers, ...own] }, requestPreamble);
  }
  const metadata = [methodKey, head.method, hostKey, head.host];
  if (head.halfClose === true) metadata.push(halfCloseKey, '1');
  if (head.takesFrames === true) metadata.push(framesKey, '1');
  let hasLength = false;
  for (let index = 0; index + 1 < head.headers.length; index += 2) {
    const name = head.headers[index] ?? '';
    const key = keyOf(name);
    if (key === undefined || isNamed(name, 'transfer-encoding')) continue;
    if (isNamed(name, 'content-length')) hasLength = true;
    metadata.push(key, head.headers[index + 1] ?? '');
  }
  if (head.kind === 'http' && head.bodyLength < 0) metadata.push('HttpHeader:Transfer-Encoding', 'chunked');
  if (head.bodyLength > 0 && !hasLength) metadata.push('HttpHeader:Content-Length', String(head.bodyLength));
  // A host that is none must not be able to change how the path is read; HttpHost carries it as it is.
  const authority = notHost.test(head.host) ? 'invalid' : head.host;
  // As in absolute form, an OPTIONS without a path asks about the server as a whole (RFC 9112 §3.2.4).
  const dest = `${head.scheme}://${authority}${head.path === '*' ? '' : head.path}`;
  return encodeConnectRequest({ dest, type: head.kind, metadata }, requestPreamble);
}

/**
 * Decodes a complete head of `length` bytes (see measureStreamHead). Throws 'protocol.malformed'; its message is what
 * to answer the edge with. The upgrade header and Transfer-Encoding are taken out: `kind` and `bodyLength` say it.
 */
export function decodeRequestHead(bytes: Buffer, length: number): RequestStreamHead {
  const start = requestPreamble.length;
  const { dest, type, metadata } = decodeConnectRequest(bytes, start, length - start);
  if (type === 'tcp') return tcpHead(dest, metadata);

  let method = 'GET';
  let host = '';
  let bodyLength = -1;
  let isChunked = false;
  let halfClose = false;
  let takesFrames = false;
  const headers: string[] = [];
  for (let index = 0; index < metadata.length; index += 2) {
    const { role, name } = meaningOf(metadata[index] ?? '');
    const value = metadata[index + 1] ?? '';
    switch (role) {
      case 'header':
        headers.push(name, value);
        break;
      case 'method':
        if (value !== '') method = value;
        break;
      case 'host':
        host = value;
        break;
      case 'content-length': {
        const length = contentLength(value);
        if (bodyLength !== -1 && length !== bodyLength) throw malformed('A request has two values of Content-Length');
        bodyLength = length;
        headers.push(name, value);
        break;
      }
      case 'transfer-encoding':
        isChunked ||= value.toLowerCase().includes('chunked');
        break;
      case 'half-close':
        halfClose = true;
        break;
      case 'frames':
        takesFrames = true;
        break;
      case 'status':
      case 'upgrade':
      case 'ignored':
        break;
    }
  }
  if (!isToken(method)) throw malformed(`Method '${shown(method)}' is not a token`);
  if (unsafeInTarget.test(host)) throw malformed(`Host '${shown(host)}' has characters that no host has`);
  const { scheme, path } = parseDest(dest, method);
  // As in HTTP/1.1, chunked wins over a length; without either there is no body.
  if (isChunked && bodyLength !== -1) removeHeader(headers, 'content-length');
  if (isChunked || type === 'websocket') bodyLength = -1;
  else if (bodyLength === -1) bodyLength = 0;
  const head: Writable<RequestStreamHead> = { kind: type, method, scheme, host, path, headers, bodyLength };
  if (halfClose) head.halfClose = true;
  if (takesFrames) head.takesFrames = true;
  return head;
}

function tcpHead(dest: string, metadata: readonly string[]): RequestStreamHead {
  const headers: string[] = [];
  let halfClose = false;
  let source: string | undefined;
  for (let index = 0; index < metadata.length; index += 2) {
    const key = metadata[index] ?? '';
    const value = metadata[index + 1] ?? '';
    if (key === halfCloseKey) halfClose = true;
    else if (key === sourceKey) source = value;
    else headers.push(key, value);
  }
  const head = { kind: 'tcp', method: 'GET', scheme: 'https', host: dest, path: '/', headers, bodyLength: -1 } as const;
  return { ...head, ...(halfClose ? { halfClose } : {}), ...(source === undefined ? {} : { source }) };
}

/**
 * A response to http and websocket, or to tcp, which has neither status nor headers on the wire. Set `halfClose` only
 * when the request had it, and `isFramed` when it had `takesFrames`.
 */
export function encodeResponseHead(
  kind: ConnectionType,
  head: { readonly status: number; readonly headers: readonly string[] },
  halfClose = false,
  isFramed = false,
): Buffer {
  const metadata = halfClose ? [halfCloseKey, '1'] : [];
  if (isFramed) metadata.push(framesKey, '1');
  if (kind === 'tcp') return encodeConnectResponse({ error: '', metadata }, requestPreamble);
  metadata.push(statusKey, String(head.status));
  for (let index = 0; index + 1 < head.headers.length; index += 2) {
    const key = keyOf(head.headers[index] ?? '');
    if (key !== undefined) metadata.push(key, head.headers[index + 1] ?? '');
  }
  return encodeConnectResponse({ error: '', metadata }, requestPreamble);
}

/** Says that the stream could not be served; end the stream after it. */
export function encodeRefusalHead(refusal: {
  readonly message: string;
  readonly rateLimited?: boolean;
  readonly dialRefused?: boolean;
}): Buffer {
  const metadata = refusal.rateLimited === true ? [rateLimitedKey, 'true'] : [];
  if (refusal.dialRefused === true) metadata.push(dialRefusedKey, 'true');
  const error = refusal.message === '' ? 'The connector could not serve the request' : refusal.message;
  return encodeConnectResponse({ error, metadata }, requestPreamble);
}

/** Decodes a complete head of `length` bytes. `kind` is that of the request. Throws 'protocol.malformed'. */
export function decodeResponseHead(kind: ConnectionType, bytes: Buffer, length: number): ResponseStreamHead {
  const start = requestPreamble.length;
  const { error, metadata } = decodeConnectResponse(bytes, start, length - start);
  if (error !== '') {
    const says = (key: string): boolean => metadata[metadata.indexOf(key) + 1] === 'true';
    return {
      kind: 'refusal',
      message: error,
      rateLimited: metadata.includes(rateLimitedKey) && says(rateLimitedKey),
      dialRefused: metadata.includes(dialRefusedKey) && says(dialRefusedKey),
    };
  }
  if (kind === 'tcp') {
    const answer = { kind: 'response', status: 200, headers: [] } as const;
    return metadata.includes(halfCloseKey) ? { ...answer, halfClose: true } : answer;
  }
  let status = 0;
  let halfClose = false;
  let isFramed = false;
  const headers: string[] = [];
  for (let index = 0; index < metadata.length; index += 2) {
    const { role, name } = meaningOf(metadata[index] ?? '');
    const value = metadata[index + 1] ?? '';
    if (role === 'status') status = /^[1-9]\d\d$/.test(value) ? Number(value) : 0;
    else if (role === 'half-close') halfClose = true;
    else if (role === 'frames') isFramed = true;
    else if (name !== '') headers.push(name, value);
  }
  if (status === 0) throw malformed('A response has no valid HttpStatus');
  const head: Writable<ResponseStreamHead & { kind: 'response' }> = { kind: 'response', status, headers };
  if (halfClose) head.halfClose = true;
  if (isFramed) head.isFramed = true;
  return head;
}

/** What a metadata key means. `name` is that of the header, '' for other keys. */
interface KeyMeaning {
  readonly role:
    | 'header'
    | 'method'
    | 'host'
    | 'status'
    | 'content-length'
    | 'transfer-encoding'
    | 'upgrade'
    | 'half-close'
    | 'frames'
    | 'ignored';
  readonly name: string;
}

/** Keys seen are remembered up to so many, if not long: the same few dozen come with every request. */
const maxRememberedKeys = 512;
const maxRememberedLength = 64;
const meanings = new Map<string, KeyMeaning>();
const headerKeys = new Map<string, string>();

function meaningOf(key: string): KeyMeaning {
  const known = meanings.get(key);
  if (known !== undefined) return known;
  const meaning = findMeaning(key);
  if (meanings.size < maxRememberedKeys && key.length <= maxRememberedLength) meanings.set(key, meaning);
  return meaning;
}

function findMeaning(key: string): KeyMeaning {
  if (key === methodKey) return { role: 'method', name: '' };
  if (key === hostKey) return { role: 'host', name: '' };
  if (key === statusKey) return { role: 'status', name: '' };
  if (key === halfCloseKey) return { role: 'half-close', name: '' };
  if (key === framesKey) return { role: 'frames', name: '' };
  if (!key.includes(headerKey)) return { role: 'ignored', name: '' };
  const name = ownCopy(key.slice(headerPrefix.length));
  if (!key.startsWith(headerPrefix) || !isToken(name)) throw malformed(`header Key: ${shown(key)} malformed`);
  if (isNamed(name, 'content-length')) return { role: 'content-length', name };
  if (isNamed(name, 'transfer-encoding')) return { role: 'transfer-encoding', name };
  if (isNamed(name, upgradeHeader)) return { role: 'upgrade', name };
  return { role: 'header', name };
}

/** The metadata key of a header; undefined for names that cannot have one. */
function keyOf(name: string): string | undefined {
  const known = headerKeys.get(name);
  if (known !== undefined) return known;
  if (!isToken(name)) return undefined;
  const key = ownCopy(headerPrefix + name);
  if (headerKeys.size < maxRememberedKeys && key.length <= maxRememberedLength) headerKeys.set(ownCopy(name), key);
  return key;
}

/** A string that does not keep alive the message it was cut from. */
function ownCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

function contentLength(value: string): number {
  const length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
  if (length < 0) throw malformed(`Content-Length '${shown(value)}' is not a number`);
  return length;
}

/** Splits `https://host/path?query`, or a bare `/path`. */
function parseDest(dest: string, method: string): { scheme: string; path: string } {
  if (unsafeInTarget.test(dest)) throw malformed(`Destination '${shown(dest)}' has characters that no URL has`);
  if (dest.startsWith('/')) return { scheme: 'http', path: dest };
  const authority = dest.indexOf('://') + 3;
  const scheme = dest.slice(0, Math.max(0, authority - 3)).toLowerCase();
  if (scheme !== 'http' && scheme !== 'https' && scheme !== 'ws' && scheme !== 'wss')
    throw malformed(`Destination '${shown(dest)}' is not a URL`);
  let end = authority;
  while (end < dest.length && !'/?#'.includes(dest.charAt(end))) end += 1;
  let path = dest.slice(end);
  const fragment = path.indexOf('#');
  if (fragment !== -1) path = path.slice(0, fragment);
  if (path === '' && method === 'OPTIONS') path = '*';
  else if (!path.startsWith('/')) path = `/${path}`;
  return {
    scheme: scheme === 'https' || scheme === 'wss' ? 'https' : 'http',
    path,
  };
}

function removeHeader(headers: string[], lower: string): void {
  for (let index = headers.length - 2; index >= 0; index -= 2)
    if (isNamed(headers[index] ?? '', lower)) headers.splice(index, 2);
}

/** Compares a header name in any case with a lower-case one. */
function isNamed(name: string, lower: string): boolean {
  return name.length === lower.length && (name === lower || name.toLowerCase() === lower);
}

function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function malformed(message: string): PosternError {
  return new PosternError('protocol.malformed', message);
}
