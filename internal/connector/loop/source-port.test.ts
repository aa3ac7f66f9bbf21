import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { describe, it, type TestContext } from 'node:test';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { until, within } from '../../../test/support/wait.ts';
import { isPosternError, PosternError } from '../../errors/error.ts';
import { dialTransport } from '../../transport/open/dial.ts';
import { listenQuic } from '../../transport/quic/listen.ts';
import type { ConnectorConnection, DialOptions } from '../../transport/transport.ts';
import { reuseSourcePort } from './source-port.ts';

const serverName = 'quic.cftunnel.com';
const gone = new PosternError('connection.closed', 'over');

async function openEdge(t: TestContext): Promise<DialOptions> {
  const ca = await createTestCa();
  const { cert, key } = await ca.issue([serverName]);
  const listener = listenQuic({ host: '127.0.0.1', port: 0, cert, key, onConnection: () => undefined });
  t.after(() => listener.close());
  const { port } = listener.address;
  return { host: '127.0.0.1', port, ca: [ca.cert], serverName, timeoutMs: 10_000 };
}

/** Closes, and waits for the port: the engine keeps it while late packets of the connection may come. */
async function end(connection: ConnectorConnection): Promise<void> {
  connection.abort(gone);
  await within('the connection to close', connection.closed);
  await until('the port to be free', () => isFree(connection.localPort ?? 0));
}

function isFree(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  return new Promise(resolve => {
    socket.once('error', () => socket.close(() => resolve(false)));
    socket.bind(port, '0.0.0.0', () => socket.close(() => resolve(true)));
  });
}

describe('the UDP source port of a connection', () => {
  it('stays over a reconnect, and is another one while it is in use', async t => {
    const options = await openEdge(t);
    const dial = reuseSourcePort(async (protocol, to) => {
      const connection = await dialTransport(protocol, to);
      t.after(() => connection.abort(gone));
      return connection;
    });
    const first = await dial('quic', options);
    const port = first.localPort ?? assert.fail();
    await end(first);
    const second = await dial('quic', options);
    assert.equal(second.localPort, port);
    // Dialled while the one before still lives, as when it is replaced.
    const third = await dial('quic', options);
    assert.notEqual(third.localPort, port);
    await Promise.all([end(second), end(third)]);
    const fourth = await dial('quic', options);
    assert.equal(fourth.localPort, third.localPort);
    await end(fourth);
  });

  it('is forgotten when no handshake came through from it, and kept when the edge was away', async () => {
    const asked: (number | undefined)[] = [];
    let failure: PosternError | undefined;
    const dial = reuseSourcePort((_protocol, options) => {
      asked.push(options.localPort);
      return failure === undefined
        ? Promise.resolve({ localPort: 4000 + asked.length } as unknown as ConnectorConnection)
        : Promise.reject(failure);
    });
    const options: DialOptions = { host: '127.0.0.1', port: 1, ca: undefined, serverName, timeoutMs: 1 };
    await dial('quic', options);
    failure = new PosternError('dial.failed', 'refused');
    await assert.rejects(dial('quic', options), error => isPosternError(error, 'dial.failed'));
    await assert.rejects(dial('http2', options), error => isPosternError(error, 'dial.failed'));
    failure = new PosternError('dial.timeout', 'late');
    await assert.rejects(dial('quic', options), error => isPosternError(error, 'dial.timeout'));
    failure = undefined;
    await dial('quic', options);
    assert.deepEqual(asked, [undefined, 4001, undefined, 4001, undefined]);
  });
});
