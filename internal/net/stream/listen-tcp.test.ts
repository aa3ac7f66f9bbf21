import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { listenFailed, listenTcp } from './listen-tcp.ts';

describe('listening on TCP', () => {
  it('tells the port, and outlives connections that cannot be accepted', async t => {
    const server = createServer(socket => socket.end('served'));
    t.after(() => server.close());
    const port = await listenTcp(server, '127.0.0.1', 0);
    // What Node does when accept(2) fails.
    for (const code of ['ENFILE', 'ENOMEM']) server.emit('error', Object.assign(new Error(`accept ${code}`), { code }));
    const socket = connect({ host: '127.0.0.1', port });
    const [text] = (await once(socket, 'data')) as [Buffer];
    assert.equal(text.toString(), 'served');
    socket.destroy();
  });

  it('rejects where the port is taken, and the server can listen elsewhere', async t => {
    const taken = createServer();
    const server = createServer();
    t.after(() => {
      taken.close();
      server.close();
    });
    const port = await listenTcp(taken, '127.0.0.1', 0);
    await assert.rejects(listenTcp(server, '127.0.0.1', port), { code: 'EADDRINUSE' });
    assert.notEqual(await listenTcp(server, '127.0.0.1', 0), port);
  });

  it('says what a low port needs', () => {
    const refused = Object.assign(new Error('listen EACCES'), { code: 'EACCES' });
    assert.match(
      listenFailed('HTTP visitors', '::', 80, refused).message,
      /on \[::\]:80 \(EACCES\): .*CAP_NET_BIND_SERVICE/,
    );
    assert.doesNotMatch(listenFailed('HTTP visitors', '::', 8080, refused).message, /CAP_NET_BIND_SERVICE/);
  });
});
