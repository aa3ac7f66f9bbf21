// Datagrams that come faster than they are read: the kernel has room for a burst, and what it drops is counted.

import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../../../test/support/wait.ts';
import { receiveBufferBytes } from '../../net/linux/receive-buffer.ts';
import { chooseUdp } from './open-udp.ts';
import { type OpenUdp, openNodeUdp, type UdpSocket } from './udp-socket.ts';

const loopback = Uint8Array.of(127, 0, 0, 1);
const payload = Buffer.alloc(1_200, 1);
const isLinux = process.platform === 'linux';
const canHaveRoom = isLinux && Number(readFileSync('/proc/sys/net/core/rmem_max', 'utf8')) >= receiveBufferBytes;

interface Counts {
  received: number;
  overflow: number;
}

/** A socket of ours, and its origin, which sends in the very call of `burst`: nobody reads meanwhile. */
async function open(t: TestContext, openUdp: OpenUdp) {
  const origin: Socket = createSocket('udp4');
  origin.bind(0, '127.0.0.1');
  await once(origin, 'listening');
  t.after(() => origin.close());
  const counts: Counts = { received: 0, overflow: 0 };
  const ready = Promise.withResolvers<void>();
  const socket: UdpSocket = openUdp(loopback, (origin.address() as AddressInfo).port, {
    connected: ready.resolve,
    message: () => {
      counts.received += 1;
    },
    dropped: (why, count) => {
      if (why === 'overflow') counts.overflow += count;
    },
    failed: ready.reject,
  });
  t.after(() => socket.close());
  await ready.promise;
  const hello = once(origin, 'message');
  socket.send(Buffer.from('hello'));
  const [, { port }] = await hello;
  origin.connect(port, '127.0.0.1');
  await once(origin, 'connect');
  const burst = (count: number): void => {
    for (let index = 0; index < count; index += 1) origin.send(payload);
  };
  return { counts, socket, burst };
}

const chosen = await chooseUdp();

describe('UDP from an origin faster than it is read', () => {
  const none = canHaveRoom ? false : 'net.core.rmem_max is below what is asked for';
  for (const [name, openUdp] of [
    ['node:dgram', openNodeUdp],
    ['chosen', chosen],
  ] as const) {
    it(`has room for a burst of 1,000 datagrams: ${name}`, { skip: none }, async t => {
      const { burst, counts } = await open(t, openUdp);
      burst(1_000);
      await until('all of the burst', () => counts.received === 1_000);
      assert.equal(counts.overflow, 0);
    });
  }

  it('is counted where it was dropped, at the next datagram and at the end', { skip: !isLinux }, async t => {
    const { burst, counts, socket } = await open(t, chosen);
    burst(8_000);
    await until('the end of what was kept', () => counts.received > 0 && counts.received + counts.overflow > 100);
    // One that comes through tells of all drops before it.
    await until('the count', () => {
      burst(1);
      return counts.overflow > 1_000;
    });
    burst(8_000);
    socket.close();
    assert.ok(counts.overflow > 6_000, `${counts.overflow} of 16,000`);
  });
});
