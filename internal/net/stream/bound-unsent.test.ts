import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../../../test/support/wait.ts';
import { boundUnsent, unsentBytes } from './bound-unsent.ts';
import { listenTcp } from './listen-tcp.ts';

const piece = Buffer.alloc(64 * 1024);
const pieces = 128;
/** So many looks in a row without a change mean that the kernel takes no more. */
const quietLooks = 20;

/** Both ends of a connection on loopback, the accepted one first. */
async function openSockets(t: TestContext): Promise<readonly [accepted: Socket, dialled: Socket]> {
  const server = createServer();
  const port = await listenTcp(server, '127.0.0.1', 0);
  const dialled = connect({ host: '127.0.0.1', port });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  t.after(() => {
    for (const socket of [accepted, dialled]) socket.destroy();
    server.close();
  });
  return [accepted, dialled];
}

/** Bytes that the kernels of both ends take from `writer` while nobody reads. */
async function takenBytes(writer: Socket): Promise<number> {
  let taken = 0;
  writer.on('error', () => undefined);
  for (let index = 0; index < pieces; index += 1)
    writer.write(piece, () => {
      taken += piece.length;
    });
  let before = -1;
  let quiet = 0;
  await until('the kernel takes no more', () => {
    quiet = taken > 0 && taken === before ? quiet + 1 : 0;
    before = taken;
    return quiet === quietLooks;
  });
  return taken;
}

// A receiver that does not read takes 64 KiB at first, and a little more with what it merges.
const most = unsentBytes + 512 * 1024;

describe('the bound of unsent bytes', { skip: process.platform !== 'linux' }, () => {
  it('holds for what a server accepted', async t => {
    const [accepted, dialled] = await openSockets(t);
    dialled.pause();
    const taken = await takenBytes(accepted);
    assert.ok(taken <= most, `the kernel took ${taken} bytes for a reader that does not read`);
  });

  it('holds for a socket that was dialled', async t => {
    const [accepted, dialled] = await openSockets(t);
    accepted.pause();
    await boundUnsent(dialled);
    const taken = await takenBytes(dialled);
    assert.ok(taken <= most, `the kernel took ${taken} bytes for a reader that does not read`);
  });

  it('passes over what has no descriptor', async () => {
    const closed = connect({ host: '127.0.0.1', port: 1 });
    closed.on('error', () => undefined).destroy();
    await boundUnsent(closed);
    await boundUnsent({});
  });
});
