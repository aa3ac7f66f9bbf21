// The first bytes of a QUIC stream: what kind it is. The control stream (stream 0) has none.
// Source: docs/protocol/edge-protocol.md §9.2.
//
//   request stream:  0A 36 CD 12 A1 3E | '0' '1' | framed head …        RPC stream:  52 BB 82 5C DB 65 | RPC messages …

import { PosternError } from '../../errors/error.ts';

export const signatureBytes = 6;
/** Signature of a request stream and the version that follows it. */
export const requestPreamble: Readonly<Uint8Array> = Uint8Array.of(0x0a, 0x36, 0xcd, 0x12, 0xa1, 0x3e, 0x30, 0x31);
/** Signature of an RPC stream; there is no version. */
export const rpcPreamble: Readonly<Uint8Array> = Uint8Array.of(0x52, 0xbb, 0x82, 0x5c, 0xdb, 0x65);

export type QuicStreamKind = 'request' | 'rpc';

/**
 * The kind of a stream from its first bytes; undefined while fewer than six are there that fit. Throws
 * 'protocol.malformed' as soon as a byte fits neither: reset the stream then.
 */
export function classifyStream(bytes: Uint8Array): QuicStreamKind | undefined {
  if (bytes.length === 0) return undefined;
  const kind = bytes[0] === requestPreamble[0] ? 'request' : 'rpc';
  const signature = kind === 'request' ? requestPreamble : rpcPreamble;
  const length = Math.min(bytes.length, signatureBytes);
  for (let index = 0; index < length; index += 1) {
    if (bytes[index] !== signature[index])
      throw new PosternError('protocol.malformed', 'A QUIC stream begins with neither of the two known signatures');
  }
  return bytes.length < signatureBytes ? undefined : kind;
}
