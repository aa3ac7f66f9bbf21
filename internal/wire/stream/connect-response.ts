// ConnectResponse: how the connector answers a QUIC request stream. Source: docs/protocol/edge-protocol.md §6.1, §9.3.

import { decodeConnect, encodeConnect } from './connect-codec.ts';

export interface ConnectResponse {
  /** Why the connector failed; empty when it did not. Text for people, UTF-8. */
  readonly error: string;
  /** [key, value, key, value, …]; keys repeat, in any order. One byte a character. */
  readonly metadata: readonly string[];
}

const notAscii = /[^\u0000-\u007f]/;
const nothing = new Uint8Array();

/** The framed message behind `prefix`, in one buffer for one write. Metadata characters above U+00FF are written as UTF-8. */
export function encodeConnectResponse(response: ConnectResponse, prefix: Uint8Array = nothing): Buffer {
  const { error, metadata } = response;
  const bytes = notAscii.test(error) ? Buffer.from(error, 'utf8').toString('latin1') : error;
  return encodeConnect(prefix, 0, 0, bytes, metadata);
}

/** Decodes a complete frame of `length` bytes at `start`. Throws 'protocol.malformed' and 'protocol.too-large'. */
export function decodeConnectResponse(bytes: Buffer, start: number, length: number): ConnectResponse {
  const { text, metadata } = decodeConnect(bytes, start, length);
  return { error: notAscii.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text, metadata };
}
