// What an accepting endpoint does with strangers: Retry, limits, garbage.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { openQuicEndpoints, openQuicPair, portOf, quicIdentity, quicName } from '../../test/support/quic-pair.ts';
import { seededRandom } from '../../test/support/seeded-random.ts';
import { isPosternError } from '../errors/error.ts';
import { openEndpoint } from './endpoint.ts';

const dial = (port: number, timeoutMs = 5000) => ({ address: '127.0.0.1', port, serverName: quicName, timeoutMs });

describe('quic admission', () => {
  it('asks unverified addresses to retry when it is busy, and then serves them', async t => {
    const { serverEndpoint, client } = await openQuicPair(t, { server: { retryThreshold: 0 } });
    // One for each packet of a ClientHello that takes two; the client follows the first.
    assert.ok(serverEndpoint.stats().retriesSent >= 1);
    assert.equal(serverEndpoint.stats().connections, 1);
    await client.ping();
  });

  it('keeps no state for first packets above the threshold', async t => {
    const { serverEndpoint } = await openQuicEndpoints(t, { server: { retryThreshold: 3 } });
    const { ca } = await quicIdentity();
    const half = await halfOpen(portOf(serverEndpoint), 20, ca.cert);
    t.after(() => half.close());
    while (serverEndpoint.stats().handshakes + serverEndpoint.stats().retriesSent < 20) await half.tick();
    assert.equal(serverEndpoint.stats().handshakes, 3);
    assert.ok(serverEndpoint.stats().retriesSent >= 17);
  });

  it('limits connections an address, and all connections', async t => {
    const { serverEndpoint, clientEndpoint } = await openQuicEndpoints(t, { server: { maxConnectionsPerAddress: 2 } });
    const port = portOf(serverEndpoint);
    const first = await clientEndpoint.connect(dial(port));
    await clientEndpoint.connect(dial(port));
    await assert.rejects(clientEndpoint.connect(dial(port)), error => isPosternError(error, 'dial.failed'));
    // It had to prove its address before it was counted against.
    assert.ok(serverEndpoint.stats().retriesSent >= 1);
    assert.ok(serverEndpoint.stats().refused >= 1);
    first.close(0, '');
    while (serverEndpoint.stats().connections > 1) await new Promise(resolve => setTimeout(resolve, 5));
    await clientEndpoint.connect(dial(port));

    const full = await openQuicEndpoints(t, { server: { maxConnections: 1 } });
    await full.clientEndpoint.connect(dial(portOf(full.serverEndpoint)));
    const second = full.clientEndpoint.connect(dial(portOf(full.serverEndpoint)));
    await assert.rejects(second, error => isPosternError(error, 'dial.failed'));
  });

  it('lives through garbage and broken handshakes', async t => {
    const { serverEndpoint, clientEndpoint } = await openQuicEndpoints(t);
    const port = portOf(serverEndpoint);
    // Real packets to break: a client that dials through this socket.
    const tap = createSocket('udp4');
    tap.bind(0, '127.0.0.1');
    await once(tap, 'listening');
    t.after(() => tap.close());
    const recorded: Buffer[] = [];
    tap.on('message', bytes => recorded.push(bytes));
    const doomed = clientEndpoint.connect(dial(tap.address().port, 200));
    await assert.rejects(doomed, error => isPosternError(error, 'dial.timeout'));
    assert.ok(recorded.length > 0);

    const random = seededRandom(20261122);
    const sender = createSocket('udp4');
    t.after(() => sender.close());
    const send = async (bytes: Uint8Array): Promise<void> => {
      await new Promise<void>((resolve, reject) => {
        sender.send(bytes, port, '127.0.0.1', error => (error === null ? resolve() : reject(error)));
      });
    };
    for (let round = 0; round < 2000; round += 1) {
      const kind = random.below(4);
      const original = recorded[random.below(recorded.length)] ?? Buffer.alloc(0);
      const bytes = kind === 0 ? Buffer.from(random.bytes(random.below(1500))) : Buffer.from(original);
      if (kind === 1)
        for (let flips = 1 + random.below(8); flips > 0; flips -= 1)
          flip(bytes, random.below(bytes.length), random.below(256));
      if (kind === 2)
        for (let flips = 1 + random.below(4); flips > 0; flips -= 1) flip(bytes, random.below(40), random.below(256));
      await send(kind === 3 ? bytes.subarray(0, random.below(bytes.length)) : bytes);
    }
    // It still serves, so it is still there.
    const connection = await clientEndpoint.connect(dial(port));
    await connection.ping();
    assert.ok(serverEndpoint.stats().receivedPackets > 1000);
  });
});

function flip(bytes: Buffer, index: number, value: number): void {
  if (index < bytes.length) bytes[index] = (bytes[index] ?? 0) ^ value;
}

/** Sends the first packets of handshakes and never answers. */
async function halfOpen(
  port: number,
  count: number,
  ca: string,
): Promise<{ tick(): Promise<void>; close(): Promise<void> }> {
  const tap = createSocket('udp4');
  tap.bind(0, '127.0.0.1');
  await once(tap, 'listening');
  tap.on('message', bytes => tap.send(bytes, port, '127.0.0.1'));
  const dialler = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], roots: [ca] });
  const dials = Array.from({ length: count }, () => dialler.connect(dial(tap.address().port)).catch(error => error));
  return {
    tick: () => new Promise(resolve => setTimeout(resolve, 5)),
    close: async () => {
      await dialler.close();
      await Promise.all(dials);
      tap.close();
    },
  };
}
