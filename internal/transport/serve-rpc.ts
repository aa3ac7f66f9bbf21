// The connector's end of an RPC stream that the edge opened, for every transport that has such streams: its calls become those
// of the seam's handler. Source: docs/protocol/edge-protocol.md §9.4.

import type { Duplex } from 'node:stream';
import { type ConnectorService, type SessionService, serveConnector } from '../rpc/connector-service.ts';
import type { ConnectorHandler } from './transport.ts';

/** Takes the stream over. */
export function serveRpc(stream: Duplex, handler: ConnectorHandler): void {
  const service: ConnectorService = {
    updateConfiguration: async ({ version, config }) => {
      const answer = await handler.configure({ version, json: Buffer.from(config).toString('utf8') });
      return { latestAppliedVersion: answer.version, error: answer.error ?? '' };
    },
    ...(handler.sessions ?? noSessions),
  };
  void serveConnector(stream, service, { figures: handler.rpcFigures });
}

const noSessions: SessionService = {
  registerUdpSession: () => Promise.resolve('this connector serves no UDP sessions'),
  unregisterUdpSession: () => Promise.resolve(),
};
