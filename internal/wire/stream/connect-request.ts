// ConnectRequest: what the edge asks for on a QUIC request stream. Source: docs/protocol/edge-protocol.md §6.1, §9.3.

import { PosternError } from '../../errors/error.ts';
import { decodeConnect, encodeConnect } from './connect-codec.ts';

export type ConnectionType = 'http' | 'websocket' | 'tcp';

export interface ConnectRequest {
  /** A URL for http and websocket; `IP:port` for tcp. One byte a character. */
  readonly dest: string;
  readonly type: ConnectionType;
  /** [key, value, key, value, …]; keys repeat. One byte a character. */
  readonly metadata: readonly string[];
}

const types: readonly ConnectionType[] = ['http', 'websocket', 'tcp'];
const nothing = new Uint8Array();

/** The framed message behind `prefix`, in one buffer for one write. Characters above U+00FF are written as UTF-8. */
export function encodeConnectRequest(request: ConnectRequest, prefix: Uint8Array = nothing): Buffer {
  return encodeConnect(prefix, 1, types.indexOf(request.type), request.dest, request.metadata);
}

/**
 * Decodes a complete frame of `length` bytes at `start` (see measureHead). Throws 'protocol.malformed', also for a type
 * that is not known, and 'protocol.too-large'.
 */
export function decodeConnectRequest(bytes: Buffer, start: number, length: number): ConnectRequest {
  const { tag, text, metadata } = decodeConnect(bytes, start, length);
  const type = types[tag];
  if (type === undefined)
    throw new PosternError('protocol.malformed', `A connection type should be 0, 1 or 2, not ${tag}`);
  return { dest: text, type, metadata };
}
