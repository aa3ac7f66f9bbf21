// The user's response headers as one header value, for HTTP/2. Source: docs/protocol/edge-protocol.md §10.4 (what is
// left out), §10.5 (form). Strings hold one byte a character ('latin1'), as Node's HTTP parsers give and take them, so
// every byte an origin sends passes unchanged.
//
//   base64(name) ":" base64(value) ";" base64(name) ":" base64(value) …      standard alphabet, no padding

import { PosternError } from '../../errors/error.ts';

/** Base64 of header names is remembered up to so many: far more than origins use, little enough to forget about. */
const maxRememberedNames = 512;
const encodedNames = new Map<string, string>();
const decodedNames = new Map<string, string>();

const base64Text = /^[A-Za-z0-9+/]*$/;

/**
 * Serialises a flat list [name, value, …], leaving out headers that belong to the protocol itself.
 * Characters above U+00FF, which no HTTP header has, make it throw 'protocol.malformed'.
 */
export function encodeResponseHeaders(headers: readonly string[]): string {
  let out = '';
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (isProtocolHeader(name)) continue;
    const encoded = encodeName(name);
    const value = encodeBase64(headers[index + 1] ?? '');
    out += out === '' ? `${encoded}:${value}` : `;${encoded}:${value}`;
  }
  return out;
}

/** The flat list [name, value, …]. Throws 'protocol.malformed'. Padding is tolerated; names are given as they came. */
export function decodeResponseHeaders(serialized: string): string[] {
  const headers: string[] = [];
  let start = 0;
  while (start < serialized.length) {
    let end = serialized.indexOf(';', start);
    if (end === -1) end = serialized.length;
    if (end > start) {
      const colon = serialized.indexOf(':', start);
      if (colon === -1 || colon >= end) throw malformed('a part without a colon');
      const value = serialized.slice(colon + 1, end);
      if (value.includes(':')) throw malformed('a part with two colons');
      headers.push(decodeName(serialized.slice(start, colon)), decodeBase64(value));
    }
    start = end + 1;
  }
  return headers;
}

/** Whether a response header belongs to the protocol and is never taken from an origin. Any case. */
export function isProtocolHeader(name: string): boolean {
  const first = name.charCodeAt(0);
  // ':' pseudo headers; else only names that begin with c or C need a closer look.
  if (first === 0x3a) return true;
  if ((first | 0x20) !== 0x63 || (name.charCodeAt(1) | 0x20) !== 0x66 || name.charCodeAt(2) !== 0x2d) return false;
  const lower = name.toLowerCase();
  return lower.startsWith('cf-int-') || lower.startsWith('cf-cloudflared-') || lower.startsWith('cf-proxy-');
}

/** A flat list [name, value, …] without the headers of the protocol; the same list when there are none. */
export function withoutProtocolHeaders(headers: readonly string[]): readonly string[] {
  if (!headers.some((name, index) => index % 2 === 0 && isProtocolHeader(name))) return headers;
  return headers.filter((_, index) => !isProtocolHeader(headers[index - (index % 2)] ?? ''));
}

function encodeName(name: string): string {
  const known = encodedNames.get(name);
  if (known !== undefined) return known;
  const encoded = encodeBase64(name);
  if (encodedNames.size < maxRememberedNames && name.length <= 64) encodedNames.set(name, encoded);
  return encoded;
}

function decodeName(encoded: string): string {
  const known = decodedNames.get(encoded);
  if (known !== undefined) return known;
  const name = decodeBase64(encoded);
  if (decodedNames.size < maxRememberedNames && name.length <= 64) decodedNames.set(encoded, name);
  return name;
}

function encodeBase64(text: string): string {
  let encoded: string;
  try {
    encoded = btoa(text);
  } catch (error) {
    throw new PosternError('protocol.malformed', 'A header has characters above U+00FF', { cause: error });
  }
  if (!encoded.endsWith('=')) return encoded;
  return encoded.endsWith('==') ? encoded.slice(0, -2) : encoded.slice(0, -1);
}

function decodeBase64(encoded: string): string {
  const bare = encoded.endsWith('=') ? encoded.replace(/={1,2}$/, '') : encoded;
  if (!base64Text.test(bare) || bare.length % 4 === 1) throw malformed('a part that is not base64');
  return atob(bare);
}

function malformed(what: string): PosternError {
  return new PosternError('protocol.malformed', `Serialised response headers hold ${what}`);
}
