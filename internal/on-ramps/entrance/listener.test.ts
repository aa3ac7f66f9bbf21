import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { openListener, serverListener } from './listener.ts';

describe('listener of an on-ramp', () => {
  it('outlives errors of the system, such as those of accepting', async () => {
    const server = createServer();
    const listener = await serverListener(server, { host: '127.0.0.1', port: 0 }, new Set());
    // ENOBUFS and the like, as node:net tells them.
    for (const text of ['first', 'second']) server.emit('error', new Error(text));
    const socket = connect(listener.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    await listener.close();
  });

  it('cuts what it has when it is closed', async () => {
    let accepted = 0;
    const listener = await openListener({ host: '127.0.0.1', port: 0 }, () => {
      accepted += 1;
    });
    const socket = connect(listener.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.resume();
    const ended = Promise.race([once(socket, 'close'), once(socket, 'end')]);
    listener.stop();
    await Promise.all([listener.close(), listener.close(), ended]);
    assert.equal(accepted, 1);
  });
});
