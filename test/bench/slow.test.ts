import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../support/wait.ts';
import { openSlowOrigin } from './load-client.ts';
import { labelOf, type SlowKind, slowBytesPerSecond, slowCases } from './slow-case.ts';
import { formatSlow } from './slow-report.ts';
import { openSlowVisitors } from './slow-visitors.ts';

const count = 3;

/** Visitors at the slow origin, with nothing between them. */
async function slowVisitors(t: TestContext, kind: SlowKind) {
  const origin = await openSlowOrigin();
  t.after(() => origin.close());
  const visitors = openSlowVisitors({ kind, count }, origin.ports);
  await until('all have begun', () => visitors.begun() === count);
  return visitors;
}

/** Takes what comes, answers as HTTP does, and can cut everybody off. */
async function rudeOrigin(t: TestContext) {
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => undefined).resume());
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return { port: address.port, cut };
}

describe('slow visitors of the benchmark', () => {
  it('come in every kind and number, after a round without them', () => {
    assert.deepEqual(slowCases([70, 500]).map(labelOf), [
      'nobody slow',
      '70 downloads at 100 KB/s',
      '500 downloads at 100 KB/s',
      '70 downloads not read',
      '500 downloads not read',
      '70 uploads at 100 KB/s',
      '500 uploads at 100 KB/s',
      '70 uploads not read',
      '500 uploads not read',
      '100 streams of one, not read',
    ]);
  });

  it('read at their rate', async t => {
    const visitors = await slowVisitors(t, 'down');
    const startedMs = performance.now();
    await until('three tenths of a second of bytes', () => visitors.bytes() > count * slowBytesPerSecond * 0.3);
    const { bytes, lost } = await visitors.close();
    const seconds = (performance.now() - startedMs) / 1_000;
    // A tick may have been before the clock started.
    assert.ok(bytes <= count * slowBytesPerSecond * (seconds + 0.2), `${bytes} bytes in ${seconds} s`);
    assert.equal(lost, 0);
  });

  for (const kind of ['down-stalled', 'up', 'up-stalled'] as const) {
    it(`begin and are left where they stand: ${kind}`, async t => {
      const visitors = await slowVisitors(t, kind);
      assert.deepEqual(await visitors.close(), { bytes: 0, lost: 0 });
    });
  }

  for (const kind of ['down-stalled', 'up'] as const) {
    it(`are counted when they are cut off: ${kind}`, async t => {
      const { port, cut } = await rudeOrigin(t);
      const visitors = openSlowVisitors({ kind, count }, port);
      await until('all have begun', () => visitors.begun() === count);
      cut();
      assert.equal((await visitors.close()).lost, count);
    });
  }

  it('are shown beside the fast one, a line for each contender', () => {
    const load = { requests: 100, failures: 1, bytes: 0, elapsedMs: 1, p50Ms: 1.25, p99Ms: 9, longestMs: 20 };
    const result = {
      ...{ label: '3 downloads not read', arriving: load, standing: { ...load, failures: 2 } },
      ...{ restMb: [100, 90], peakMb: [140.4, 95], begun: 3, lost: 1, slowMbPerSecond: 0 },
    };
    const text = formatSlow('quic', 8, [
      { ...result, name: 'ours' },
      { ...result, name: 'peer' },
    ]);
    const [title, head, ours, peer] = text.split('\n');
    assert.match(title ?? '', /over quic, 4 s while they come and 8 s with them/);
    assert.match(head ?? '', /p50 ms +p99 ms +longest .* failed/);
    assert.match(ours ?? '', /3 downloads not read +ours +1\.\d +9\.0 +20 +9\.0 +200 +3 +100 → 140 +90 → 95 +3 +1/);
    assert.match(peer ?? '', /^ +peer +1/);
  });
});
