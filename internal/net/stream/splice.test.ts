import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { until, within } from '../../../test/support/wait.ts';
import { splice } from './splice.ts';

/** Two connected sockets; both ends allow half-open. */
async function openPair(t: TestContext): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const near = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [far] = (await once(server, 'connection')) as [Socket];
  server.close();
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
}

/** `left` and `right` are what the two sides see: the inner ends are spliced. */
async function openSpliced(t: TestContext): Promise<{ left: Socket; right: Socket; inner: readonly [Socket, Socket] }> {
  const [left, a] = await openPair(t);
  const [b, right] = await openPair(t);
  splice(a, b);
  return { left, right, inner: [a, b] };
}

function closed(socket: Socket): Promise<unknown> {
  return new Promise(resolve => socket.once('close', resolve));
}

/** Everything up to the end. (Async iteration would destroy the socket there.) */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

describe('splice', () => {
  it('carries a single byte without waiting for more', async t => {
    const { left, right } = await openSpliced(t);
    left.write('x');
    const [first] = (await once(right, 'data')) as [Buffer];
    assert.equal(first.toString(), 'x');
    right.write('y');
    const [second] = (await once(left, 'data')) as [Buffer];
    assert.equal(second.toString(), 'y');
  });

  it('gives the second direction a bounded time where half-close means nothing', async t => {
    const [left, a] = await openPair(t);
    const [right, b] = await openPair(t);
    splice(a, b, 20);
    right.on('error', () => undefined).resume();
    left.on('error', () => undefined).resume();
    left.end('the last words');
    await within('both sides to close', Promise.all([closed(a), closed(b), closed(left)]), 5_000);
  });

  it('gives up a half-open pair that nobody uses, and none that is used', async t => {
    const [left, a] = await openPair(t);
    const [right, b] = await openPair(t);
    splice(a, b, undefined, 500);
    let got = '';
    left.on('error', () => undefined).on('data', chunk => (got += chunk));
    right.on('error', () => undefined).resume();
    left.end('all of the input');
    const trickle = setInterval(() => right.write('x'), 25);
    t.after(() => clearInterval(trickle));
    // Some 1.5 s: longer than the time for silence, in all.
    await until('the answer so far', () => got.length >= 60);
    assert.equal(b.destroyed, false);
    clearInterval(trickle);
    await within('both sides to close', Promise.all([closed(a), closed(b), closed(left)]), 5_000);
  });

  it('closes a socket whose other side ends and breaks in one tick', async t => {
    const [peer, socket] = await openPair(t);
    peer.on('error', () => undefined).resume();
    const rude = new Duplex({ allowHalfOpen: true, read: () => undefined, write: (_chunk, _encoding, done) => done() });
    // Before the splice hears of the end: its own listeners come after this one, in the same turn.
    rude.once('end', () => process.nextTick(() => rude.destroy(new Error('reset by the peer'))));
    splice(rude, socket);
    rude.push(null);
    await within('the socket to close', closed(socket), 5_000);
  });

  it('carries both directions whole, and an end of one leaves the other open', async t => {
    const { left, right } = await openSpliced(t);
    const up = Buffer.alloc(3 << 20, 'upwards ');
    const down = Buffer.alloc(2 << 20, 'downwards');
    const atRight = readAll(right);
    left.end(up);
    assert.ok((await atRight).equals(up));
    const atLeft = readAll(left);
    right.end(down);
    assert.ok((await atLeft).equals(down));
  });

  it('holds back a writer whose reader has paused, and goes on with the reader', async t => {
    const { left, right, inner } = await openSpliced(t);
    right.pause();
    const chunk = Buffer.alloc(1 << 20, 7);
    const total = 64;
    for (let index = 0; index < total; index += 1) left.write(chunk);
    left.end();
    let [before, same] = [-1, 0];
    await until('the writer stands still', () => {
      same = left.writableLength === before ? same + 1 : 0;
      before = left.writableLength;
      return same > 20;
    });
    assert.ok(left.writableLength > 0, 'everything was taken though nobody read');
    // A gathered write and what was read meanwhile.
    assert.ok(inner[1].writableLength < 512 * 1024, `${inner[1].writableLength} bytes are held`);
    assert.equal((await readAll(right)).length, total * chunk.length);
  });

  it('ends a side that was over before it was spliced', async t => {
    const [left, a] = await openPair(t);
    const [b, right] = await openPair(t);
    left.end();
    a.resume();
    await once(a, 'end');
    splice(a, b);
    assert.equal((await readAll(right)).length, 0);
  });

  it('resets the other side of a flow that breaks', async t => {
    const { left, right } = await openSpliced(t);
    const broken = once(right, 'error');
    right.resume();
    left.write('a beginning');
    left.resetAndDestroy();
    const [error] = (await broken) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
  });
});
