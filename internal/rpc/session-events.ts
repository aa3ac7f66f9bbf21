// An RPC stream that the connector opens to tell its edge that a UDP session ended (datagram v2): both ends.
// Source: docs/protocol/edge-protocol.md §7.2, §9.4.

import type { Duplex } from 'node:stream';
import type { PosternError } from '../errors/error.ts';
import { decodeSessionEndParams, sessionManager, type UdpSessionEnd } from '../wire/rpc/connector-calls.ts';
import { encodeNothing } from '../wire/rpc/registration.ts';
import { ConnectorClient } from './connector-client.ts';
import { RpcSession } from './session.ts';

/** How long the edge serves one such stream: what a connector does with the edge's. */
const serveMs = 5000;

/**
 * Connector: tells the edge over a stream opened for this, and ends it. Rejects as ConnectorClient's methods do; the
 * session is over all the same.
 */
export async function reportSessionEnd(stream: Duplex, end: UdpSessionEnd, timeoutMs: number): Promise<void> {
  const client = new ConnectorClient(stream, { timeoutMs });
  try {
    await client.unregisterUdpSession(end);
  } finally {
    client.close();
  }
}

/** Edge: serves one such stream. Settles when it is over, with the error if it did not end in order; never rejects. */
export function serveSessionEvents(
  stream: Duplex,
  onEnd: (end: UdpSessionEnd) => void,
  options: { readonly timeoutMs?: number; readonly onError?: (error: unknown) => void } = {},
): Promise<PosternError | undefined> {
  const session = new RpcSession(stream, {
    onServiceError: options.onError,
    service: (interfaceId, methodId, params) => {
      if (interfaceId !== sessionManager.interfaceId || methodId !== sessionManager.unregisterUdpSession)
        return undefined;
      onEnd(decodeSessionEndParams(params));
      return Promise.resolve(encodeNothing);
    },
  });
  const timer = setTimeout(() => session.close(), options.timeoutMs ?? serveMs);
  return session.closed.finally(() => clearTimeout(timer));
}
