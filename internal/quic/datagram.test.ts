// DATAGRAM frames between two ends of ours.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { duplexOf, Later, openQuicPair, readAll } from '../../test/support/quic-pair.ts';
import { seededRandom } from '../../test/support/seeded-random.ts';

describe('quic datagrams', () => {
  it('carries datagrams of every size up to 1,350 bytes, both ways', async t => {
    const { client, server, atClient, atServer } = await openQuicPair(t);
    // Path MTU discovery needs some packets to get from 1,200 to 1,452.
    while (client.maxDatagramBytes < 1350) await client.ping();
    while (server.maxDatagramBytes < 1350) await server.ping();
    const random = seededRandom(9);
    const sent = Array.from({ length: 300 }, (_, index) =>
      Buffer.from(random.bytes(index < 150 ? index : 1200 + index - 149)),
    );
    for (const [from, to] of [
      [client, atServer],
      [server, atClient],
    ] as const) {
      const all = new Later<void>();
      const received: Buffer[] = [];
      to.datagram = datagram => {
        received.push(Buffer.from(datagram));
        if (received.length === sent.length) all.resolve();
      };
      for (const datagram of sent) assert.equal(from.sendDatagram(datagram), 'queued');
      await all.promise;
      assert.deepEqual(received, sent);
    }
  });

  it('says so when one is too large, the queue is full, or the connection over', async t => {
    const { client } = await openQuicPair(t, { client: { datagramBuffer: 8192 } });
    assert.equal(client.sendDatagram(Buffer.alloc(client.maxDatagramBytes + 1)), 'too-large');
    const results = Array.from({ length: 20 }, () => client.sendDatagram(Buffer.alloc(1000)));
    assert.equal(results[0], 'queued');
    assert.equal(results.at(-1), 'full');
    await client.ping();
    assert.equal(client.sendDatagram(Buffer.alloc(1000)), 'queued');
    client.close(0, '');
    assert.equal(client.sendDatagram(Buffer.alloc(10)), 'closed');
  });

  it('drops and counts what a receiver does not read in time, and keeps the streams going', async t => {
    const { client, server } = await openQuicPair(t, { server: { datagramBuffer: 16_384 } });
    server.handler = undefined;
    let sent = 0;
    while (sent < 400) {
      if (client.sendDatagram(Buffer.alloc(1000)) === 'queued') sent += 1;
      else await client.ping();
    }
    while (server.stats()?.undeliveredDatagrams !== 400) await client.ping();
    client.openStream().write(Buffer.from('x'), true);
    let delivered = 0;
    const done = new Later<void>();
    server.serve({
      onStream: () => done.resolve(),
      onDatagram: () => {
        delivered += 1;
      },
      onClosed: () => undefined,
    });
    await done.promise;
    assert.ok(delivered > 0 && delivered <= 16, `delivered ${delivered}`);
    assert.equal(server.stats()?.undeliveredDatagrams, 400 - delivered);
  });

  it('does not let a flood of datagrams hold up streams', async t => {
    const { client, atServer } = await openQuicPair(t);
    let flooding = true;
    let received = 0;
    atServer.datagram = () => {
      received += 1;
    };
    const flood = (): void => {
      while (flooding && client.sendDatagram(Buffer.alloc(1000)) === 'queued');
      if (flooding) setImmediate(flood);
    };
    flood();
    for (let round = 0; round < 20; round += 1) {
      const near = duplexOf(client);
      near.end(Buffer.alloc(50_000, round));
      const far = await atServer.nextDuplex();
      far.end(await readAll(far));
      assert.equal((await readAll(near)).length, 50_000);
    }
    flooding = false;
    assert.ok(received > 1000, `${received} datagrams`);
  });
});
