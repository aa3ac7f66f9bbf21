// The head of a visitor's HTTP/1.1 request, read so that nobody further on can read it differently; every byte of a value
// stays as it is. Source: RFC 9112 §3 (request line), §5 (fields), §6 (framing), §9.3 (persistence); RFC 9110 §5.5, §7.8.

import { isToken } from '../../net/http/field-name.ts';
import { maxHeaders } from '../limits.ts';

export interface Http1Head {
  readonly method: string;
  /** As sent; one character a byte. */
  readonly target: string;
  readonly minorVersion: 0 | 1;
  /** Flat list as sent; one character a byte. */
  readonly headers: readonly string[];
  /** Value of the one Host header. */
  readonly host: string | undefined;
  /** 0 none, -1 chunked. */
  readonly bodyLength: number;
  /** Whether the visitor wants to send another request on this connection. */
  readonly persists: boolean;
  readonly expectsContinue: boolean;
  /** A WebSocket upgrade. Any other Upgrade is ignored, as RFC 9110 §7.8 allows. */
  readonly upgrade: boolean;
}

/** Why a head is refused: malformed or ambiguous, or with too many fields. */
export type HeadProblem = 400 | 431;

/** What HTTP/2 visitors send first, and no request; with the line ends behind it RFC 9113 §3.4 calls it the preface. */
export const http2Preface = 'PRI * HTTP/2.0';

const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;
/** RFC 9110 §5.5 allows tabs, visible and high characters. */
const notText = /[^\t\x20-\x7e\x80-\xff]/;
const maxLength = /^\d{1,15}$/;

/** `text`: the lines of a head with CR LF between them and none at the end, one character a byte. */
export function parseHttp1Head(text: string): Http1Head | HeadProblem {
  const lines = text.split('\r\n');
  if (lines.length - 1 > maxHeaders) return 431;
  const [, method, target, minor] = requestLine.exec(lines[0] ?? '') ?? [];
  if (method === undefined || target === undefined) return 400;
  const headers: string[] = [];
  const found = { host: [] as string[], length: [] as string[], coding: [] as string[] };
  let connection = '';
  let expect = '';
  let upgrade = '';
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const colon = line.indexOf(':');
    // A folded line, or a space before the colon, makes the name no token.
    const name = line.slice(0, Math.max(0, colon));
    const value = trimmed(line, colon + 1);
    if (!isToken(name) || notText.test(value)) return 400;
    headers.push(name, value);
    switch (name.toLowerCase()) {
      case 'host':
        found.host.push(value);
        break;
      case 'content-length':
        found.length.push(value);
        break;
      case 'transfer-encoding':
        found.coding.push(value);
        break;
      case 'connection':
        connection += `,${value.toLowerCase()}`;
        break;
      case 'expect':
        expect = value.toLowerCase();
        break;
      case 'upgrade':
        upgrade = value.toLowerCase();
    }
  }
  const minorVersion = minor === '1' ? 1 : 0;
  const bodyLength = lengthOf(found.length, found.coding, minorVersion);
  if (bodyLength === undefined || found.host.length > 1) return 400;
  const options = connection.split(',').map(option => option.trim());
  const isUpgrade = upgrade === 'websocket' && method === 'GET' && minorVersion === 1 && options.includes('upgrade');
  // Bytes after the head of an upgrade are the new protocol's: an announced body could be taken for a request further on.
  if (isUpgrade && bodyLength !== 0) return 400;
  return {
    method,
    target,
    minorVersion,
    headers,
    host: found.host[0],
    bodyLength,
    persists: minorVersion === 1 ? !options.includes('close') : options.includes('keep-alive'),
    expectsContinue: minorVersion === 1 && expect === '100-continue' && bodyLength !== 0,
    upgrade: isUpgrade,
  };
}

/**
 * RFC 9112 §6.1: one length or `chunked` alone, never both. Lists that end in chunked are refused too: what is coded inside
 * would reach the origin undeclared.
 */
function lengthOf(lengths: readonly string[], codings: readonly string[], minorVersion: 0 | 1): number | undefined {
  const [length] = lengths;
  if (codings.length > 0) {
    const isPlain = codings.length === 1 && codings[0]?.toLowerCase() === 'chunked';
    return isPlain && minorVersion === 1 && length === undefined ? -1 : undefined;
  }
  if (length === undefined) return 0;
  return lengths.length === 1 && maxLength.test(length) ? Number(length) : undefined;
}

/** The rest of a line without spaces and tabs around it; `trim` would take 0xA0 too. */
function trimmed(line: string, start: number): string {
  let from = start;
  let to = line.length;
  while (from < to && isBlank(line.charCodeAt(from))) from += 1;
  while (to > from && isBlank(line.charCodeAt(to - 1))) to -= 1;
  return line.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
