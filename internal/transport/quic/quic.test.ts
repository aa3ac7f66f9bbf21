import { type TransportPair, transportConformance } from '../../../test/conformance/transport.ts';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { createUdpRelay } from '../../../test/support/udp-relay.ts';
import { PosternError } from '../../errors/error.ts';
import type { EdgeConnection } from '../transport.ts';
import { dialQuic } from './dial.ts';
import { listenQuic } from './listen.ts';

const serverName = 'quic.cftunnel.com';
const authority = createTestCa();

async function open(needs: { vanish: boolean }): Promise<TransportPair> {
  const ca = await authority;
  const { key, cert } = await ca.issue([serverName]);
  const accepted = Promise.withResolvers<EdgeConnection>();
  const listener = listenQuic({ host: '127.0.0.1', port: 0, key, cert, onConnection: accepted.resolve });
  // A relay in JavaScript costs more than both ends together: only where it is needed.
  const relay = needs.vanish ? await createUdpRelay({ targetPort: listener.address.port, seed: 1 }) : undefined;
  const port = relay?.port ?? listener.address.port;
  const connector = await dialQuic({ host: '127.0.0.1', port, ca: [ca.cert], serverName, timeoutMs: 10_000 });
  const edge = await accepted.promise;
  const over = new PosternError('connection.closed', 'The test is over.');
  return {
    edge,
    connector,
    vanish: relay && (() => relay.cut(true)),
    close: async () => {
      edge.abort(over);
      connector.abort(over);
      await Promise.all([edge.closed, connector.closed, listener.close()]);
      await relay?.close();
    },
  };
}

transportConformance('quic', open, { datagrams: true });
