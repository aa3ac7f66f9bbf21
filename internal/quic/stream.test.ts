// Streams between two ends of ours: data, FIN, codes, back-pressure, numbers.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Collector, duplexOf, Later, openQuicPair, quiet, readAll } from '../../test/support/quic-pair.ts';
import { seededRandom } from '../../test/support/seeded-random.ts';
import { isPosternError } from '../errors/error.ts';
import { QuicDuplex } from './duplex.ts';

const codeOf = (error: unknown): unknown => (isPosternError(error, 'stream.reset') ? error.details?.code : error);

describe('quic stream', () => {
  it('carries bytes and FINs both ways, opened by either end', async t => {
    const { client, server, atClient, atServer } = await openQuicPair(t);
    for (const [opener, acceptor] of [
      [client, atServer],
      [server, atClient],
    ] as const) {
      const near = duplexOf(opener);
      near.end('request');
      const far = await acceptor.nextDuplex();
      assert.equal((await readAll(far)).toString(), 'request');
      // The far end answers after the FIN: one direction's end never ends the other.
      far.end('response');
      assert.equal((await readAll(near)).toString(), 'response');
      await Promise.all([near, far].map(side => side.closed || once(side, 'close')));
    }
    assert.equal(client.openStreams, 0);
    assert.equal(server.openStreams, 0);
  });

  it('delivers a large body unchanged', async t => {
    const { client, atServer } = await openQuicPair(t);
    const body = Buffer.from(seededRandom(3).bytes(3_000_000));
    const near = duplexOf(client);
    near.end(body);
    assert.ok(body.equals(await readAll(await atServer.nextDuplex())));
  });

  it('ends an empty stream', async t => {
    const { client, atServer } = await openQuicPair(t);
    duplexOf(client).end();
    assert.equal((await readAll(await atServer.nextDuplex())).length, 0);
  });

  it('carries the code of a reset, even past a paused reader, and of a stop', async t => {
    const { client, atServer } = await openQuicPair(t);
    const near = duplexOf(client);
    near.write('some bytes');
    const far = await atServer.nextDuplex();
    near.on('error', () => undefined);
    const failed = once(far, 'error');
    near.abort(4321);
    assert.equal(codeOf((await failed)[0]), 4321);

    const second = duplexOf(client);
    second.write('x');
    const stream = await atServer.next();
    const stopped = once(second, 'error');
    stream.stop(99);
    assert.equal(codeOf((await stopped)[0]), 99);
    // The answer to STOP_SENDING is a reset with the same code, and our own direction is still open.
    assert.equal(stream.readState, 'stopped');
    assert.equal(stream.write(Buffer.from('still'), true), 5);
  });

  it('discards writes after a stop where the user wants to read on', async t => {
    const { client, atServer } = await openQuicPair(t);
    const near = quiet(new QuicDuplex(client.openStream(), { onStop: 'discard' }));
    near.write('request without end');
    const stream = await atServer.next();
    stream.stop(0);
    stream.write(Buffer.from('answer'), true);
    const answer = readAll(near);
    near.write(Buffer.alloc(100_000));
    near.end();
    assert.equal((await answer).toString(), 'answer');
  });

  it('stops the sender of a paused reader at the window, while other streams run on', async t => {
    const streamWindow = 256 * 1024;
    const { client, atServer } = await openQuicPair(t, { server: { streamWindow } });
    const slow = duplexOf(client);
    const chunk = Buffer.alloc(16 * 1024, 7);
    let sent = 0;
    const fill = (): void => {
      while (slow.write(chunk)) sent += chunk.length;
      sent += chunk.length;
    };
    slow.on('drain', fill);
    fill();
    const paused = await atServer.nextDuplex();
    // Many round trips later the sender still stands.
    for (let turn = 0; turn < 50; turn += 1) {
      const quick = duplexOf(client);
      quick.end('ping');
      const far = await atServer.nextDuplex();
      far.end(await readAll(far));
      assert.equal((await readAll(quick)).toString(), 'ping');
    }
    const held = sent;
    assert.ok(held >= streamWindow && held <= streamWindow + 4 * 64 * 1024, `sent ${held} with nobody reading`);
    // Reading lets it go on.
    slow.removeListener('drain', fill);
    let received = 0;
    paused.on('data', (bytes: Buffer) => {
      received += bytes.length;
    });
    slow.end();
    await once(paused, 'end');
    assert.equal(received, sent);
  });

  it('opens 5,000 streams at once and finishes all', async t => {
    const { client, server, atServer } = await openQuicPair(t, { server: { initialStreams: 16 } });
    const count = 5000;
    let most = 0;
    const waiting: QuicDuplex[] = [];
    const all = new Later<void>();
    atServer.stream = stream => {
      waiting.push(quiet(new QuicDuplex(stream, { onStop: 'reset' })));
      most = Math.max(most, server.openStreams);
      if (waiting.length === count) all.resolve();
    };
    const near = Array.from({ length: count }, () => duplexOf(client));
    for (const [index, stream] of near.entries()) stream.end(`stream ${index}`);
    // None is answered before all are open at the same time.
    await all.promise;
    assert.equal(most, count);
    for (const far of waiting) far.pipe(far);
    const bodies = await Promise.all(near.map(stream => readAll(stream)));
    assert.deepEqual(
      bodies.map(body => body.toString()),
      near.map((_, index) => `stream ${index}`),
    );
    assert.equal(client.openStreams, 0);
  });

  it('waits for the allowance of the peer, and forgets a stream given up meanwhile', async t => {
    const { client, atServer } = await openQuicPair(t, { server: { initialStreams: 1, maxStreams: 1 } });
    const first = duplexOf(client);
    first.end('one');
    const abandoned = duplexOf(client);
    abandoned.destroy();
    const third = duplexOf(client);
    third.end('three');
    assert.equal(third.stream.id, -1);
    const farFirst = await atServer.nextDuplex();
    farFirst.end(await readAll(farFirst));
    assert.equal((await readAll(first)).toString(), 'one');
    const farThird = await atServer.nextDuplex();
    assert.equal((await readAll(farThird)).toString(), 'three');
    farThird.end();
  });

  it('tells when everything sent is acknowledged', async t => {
    const { client, atServer } = await openQuicPair(t);
    const near = duplexOf(client);
    near.end(Buffer.alloc(500_000));
    const far = await atServer.nextDuplex();
    far.resume();
    await client.flushed();
    assert.equal(client.stats()?.unacknowledgedStreams, 0);
  });

  it('delivers streams that came before there was a handler', async t => {
    const { client, server } = await openQuicPair(t);
    server.handler = undefined;
    duplexOf(client).end('early');
    await client.flushed();
    const late = new Collector();
    server.serve(late);
    assert.equal((await readAll(await late.nextDuplex())).toString(), 'early');
  });
});
