// Bad paths, through a seeded relay: loss, reordering, duplicates, a small MTU, a client that moves, a cut.

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  duplexOf,
  Later,
  openQuicPair,
  type QuicPair,
  type QuicPairOptions,
  readAll,
} from '../../test/support/quic-pair.ts';
import { seededRandom } from '../../test/support/seeded-random.ts';
import { createUdpRelay, type UdpRelay, type UdpRelayOptions } from '../../test/support/udp-relay.ts';
import { until } from '../../test/support/wait.ts';
import type { FrameCounts } from './path-details.ts';

async function pairThrough(
  test: TestContext,
  path: Omit<UdpRelayOptions, 'targetPort'>,
  options: QuicPairOptions = {},
): Promise<QuicPair & { relay: UdpRelay }> {
  const opened = new Later<UdpRelay>();
  const pair = await openQuicPair(test, {
    ...options,
    through: async targetPort => {
      const relay = await createUdpRelay({ ...path, targetPort });
      opened.resolve(relay);
      test.after(() => relay.close());
      return relay.port;
    },
  });
  return { ...pair, relay: await opened.promise };
}

/** Sends a body over a stream and gets it back. */
async function echo(pair: QuicPair, body: Buffer): Promise<void> {
  const near = duplexOf(pair.client);
  near.end(body);
  const far = await pair.atServer.nextDuplex();
  const answer = readAll(near);
  far.end(await readAll(far));
  assert.ok(body.equals(await answer));
}

describe('quic on bad paths', () => {
  for (const seed of [1, 2, 3]) {
    it(`delivers everything with 5 % loss, reordering and duplicates (seed ${seed})`, async t => {
      const pair = await pairThrough(t, {
        seed,
        lossPerMille: 50,
        duplicatePerMille: 50,
        reorderPerMille: 100,
        reorderDelayMs: 3,
        delayMs: 1,
      });
      const random = seededRandom(seed);
      for (let round = 0; round < 5; round += 1) await echo(pair, Buffer.from(random.bytes(100_000)));
      assert.ok(pair.relay.counts.lost > 0 && pair.relay.counts.duplicated > 0 && pair.relay.counts.reordered > 0);
    });
  }

  it('tells the last round trip, what congestion control is about, and the frames of both directions', async t => {
    const pair = await pairThrough(t, { seed: 8, lossPerMille: 20, delayMs: 5 });
    const seen = new Set<number | undefined>();
    let smallest = Number.POSITIVE_INFINITY;
    const watch = setInterval(() => {
      const details = pair.client.pathDetails();
      seen.add(details?.congestionState);
      smallest = Math.min(smallest, details?.latestRttMs ?? smallest);
    }, 1);
    try {
      await echo(pair, Buffer.alloc(1_000_000, 1));
    } finally {
      clearInterval(watch);
    }
    const recovery = 3;
    assert.ok(seen.has(recovery), `states ${[...seen].join(' ')}`);
    // Both ways take five milliseconds, as the relay's timers have them.
    assert.ok(smallest > 8 && smallest < 1_000, `${smallest} ms`);
    const details = pair.client.pathDetails();
    // What the engine's own endpoint announces: Ethernet's 1,500 less IPv4 and UDP.
    assert.equal(details?.maxUdpPayload, 1472);
    const [sent, received] = [new Map(details?.sentFrames), new Map(details?.receivedFrames)];
    // At least a frame a packet of the 1,000,000 bytes, each way.
    assert.ok((sent.get('Stream') ?? 0) > 650 && (received.get('Stream') ?? 0) > 650);
    assert.ok((received.get('Ack') ?? 0) > 10 && (sent.get('Crypto') ?? 0) > 0);
    assert.equal(received.get('HandshakeDone'), 1);
    assert.equal(sent.has('HandshakeDone'), false);
    pair.client.close(0, '');
    await until('the end of the connection', () => pair.client.pathDetails() === undefined);
  });

  it('is only limited by the program when it sends little', async t => {
    const { client, server } = await openQuicPair(t);
    client.sendDatagram(Buffer.alloc(10));
    const stream = client.openStream();
    stream.write(Buffer.from('x'), false);
    stream.reset(7);
    stream.stop(8);
    for (let round = 0; round < 3; round += 1) await client.ping();
    const details = client.pathDetails();
    assert.equal(details?.congestionState, 2);
    const few = (frames: FrameCounts | undefined) => {
      const counts = new Map(frames);
      return ['Datagram', 'ResetStream', 'StopSending', 'StreamsBlocked'].map(kind => counts.get(kind));
    };
    assert.deepEqual(few(details?.sentFrames), [1, 1, 1, undefined]);
    assert.deepEqual(few(server.pathDetails()?.receivedFrames), [1, 1, 1, undefined]);
  });

  it('works at a path MTU of 1,280, and does not grow above it', async t => {
    // 1,280 bytes of IPv6 packet leave 1,232 for UDP.
    const pair = await pairThrough(t, { seed: 4, maxPayloadBytes: 1232 });
    await echo(pair, Buffer.alloc(300_000, 1));
    for (let round = 0; round < 20; round += 1) await pair.client.ping();
    const stats = pair.client.stats();
    assert.ok(stats !== undefined && stats.mtu >= 1200 && stats.mtu <= 1232, `mtu ${stats?.mtu}`);
    assert.ok(pair.relay.counts.tooLarge > 0);
    assert.ok(pair.client.maxDatagramBytes > 1100);
  });

  it('goes on when the client moves to another port', async t => {
    const pair = await pairThrough(t, { seed: 5 });
    await echo(pair, Buffer.alloc(1000));
    const before = pair.server.remoteAddress;
    const near = duplexOf(pair.client);
    near.write('before');
    const far = await pair.atServer.nextDuplex();
    await pair.relay.rebind();
    near.end(' and after');
    assert.equal((await readAll(far)).toString(), 'before and after');
    far.end('here');
    assert.equal((await readAll(near)).toString(), 'here');
    assert.notEqual(pair.server.remoteAddress, before);
  });

  it('survives a cut shorter than the idle timeout, and ends after a longer one', async t => {
    const pair = await pairThrough(t, { seed: 6 }, { client: { idleTimeoutMs: 600, keepAliveMs: 100 } });
    await echo(pair, Buffer.alloc(1000));
    pair.relay.cut(true);
    const near = duplexOf(pair.client);
    near.end('patience');
    await new Promise(resolve => setTimeout(resolve, 200));
    pair.relay.cut(false);
    assert.equal((await readAll(await pair.atServer.nextDuplex())).toString(), 'patience');
    pair.relay.cut(true);
    assert.equal((await pair.atClient.closed.promise).kind, 'idle');
    assert.equal((await pair.atServer.closed.promise).kind, 'idle');
  });
});
