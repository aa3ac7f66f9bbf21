import { type TransportPair, transportConformance } from '../../../test/conformance/transport.ts';
import { openTcpRelay } from '../../../test/support/tcp-relay.ts';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { PosternError } from '../../errors/error.ts';
import type { EdgeConnection } from '../transport.ts';
import { dialHttp2 } from './dial.ts';
import { listenHttp2 } from './listen.ts';

const serverName = 'h2.cftunnel.com';
const authority = createTestCa();

async function open(): Promise<TransportPair> {
  const ca = await authority;
  const { key, cert } = await ca.issue([serverName]);
  const accepted = Promise.withResolvers<EdgeConnection>();
  const listener = await listenHttp2({ host: '127.0.0.1', port: 0, key, cert, onConnection: accepted.resolve });
  const relay = await openTcpRelay(listener.address);
  const connector = await dialHttp2({
    host: '127.0.0.1',
    port: relay.port,
    ca: [ca.cert],
    serverName,
    timeoutMs: 10_000,
  });
  const edge = await accepted.promise;
  const over = new PosternError('connection.closed', 'The test is over.');
  return {
    edge,
    connector,
    vanish: relay.freeze,
    close: async () => {
      edge.abort(over);
      connector.abort(over);
      await Promise.all([edge.closed, connector.closed, listener.close()]);
      await relay.close();
    },
  };
}

transportConformance('http2', open, { trailers: true, datagrams: false });
