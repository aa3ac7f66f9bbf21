// A connector's handler for tests of streams: it takes no configurations and no UDP sessions.

import type { ConnectorHandler, IncomingStream } from '../../internal/transport/transport.ts';

export function streamsOnly(stream: (incoming: IncomingStream) => void): ConnectorHandler {
  return { stream, configure: () => Promise.resolve({ version: -1, error: 'no configurations here' }) };
}
