// Thousands of UDP flows at once that idle out, at the edge and at a connector with datagrams v3, which hears of their end
// by its own idle time only.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { PrivateWorld } from '../../test/support/private-world.ts';
import { openUdpEcho } from '../../test/support/udp-echo.ts';
import { until } from '../../test/support/wait.ts';
import { isPosternError } from '../errors/error.ts';
import type { UdpFlow } from './flows/udp-flow.ts';

const count = 5_000;
/** Longer than a slow machine needs to make them all. */
const idleMs = 5_000;

describe('many UDP flows', () => {
  it('idle out without leaving a socket, a slot or an entry; one more than the limit is refused', async t => {
    const limits = { total: 2 * count, perAccount: 2 * count, perSource: count };
    const world = await PrivateWorld.open({ limits });
    t.after(() => world.close());
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    const connector = await world.connect(tunnel, { connections: 2 });
    const echo = await openUdpEcho();
    t.after(() => echo.close());
    const descriptors = (): number => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
    const before = descriptors();

    const host = { kind: 'address', address: Uint8Array.of(127, 0, 0, 1) } as const;
    const visitor = { onRamp: 'socks', network: world.vnet, sourceAddress: '192.0.2.7', sourcePort: 1 } as const;
    const flows = new Set<UdpFlow>();
    const silent = new Set<UdpFlow>();
    const ends = new Map<string, number>();
    const open = (): void => {
      const flow = world.network.openUdp(visitor, host, echo.port, idleMs, {
        payload: () => silent.delete(flow),
        ended: ({ kind }) => {
          flows.delete(flow);
          ends.set(kind, (ends.get(kind) ?? 0) + 1);
        },
      });
      flows.add(flow);
      silent.add(flow);
    };
    while (flows.size < count) {
      // In portions that the queues of one connection hold.
      for (let index = 0; index < 250; index += 1) open();
      let round = 0;
      await until('every echo', () => {
        // UDP may lose some.
        if (round % 50 === 0) for (const flow of silent) flow.send(Buffer.from('x'));
        round += 1;
        return silent.size === 0;
      });
    }
    assert.deepEqual([flows.size, world.tracker.size, connector.sessions()], [count, count, count]);
    assert.throws(open, error => isPosternError(error, 'flow.limit'));
    assert.equal(world.denied.limit, 1);
    await until('the flows’ ends', () => flows.size === 0);
    assert.deepEqual([[...ends], world.tracker.size, world.network.udp.counters.active], [[['idle', count]], 0, 0]);
    await until('the sessions’ ends', () => connector.sessions() === 0);
    assert.deepEqual([connector.environment.flows.taken, connector.environment.wheel.size], [0, 0]);
    await until('the sockets to be closed', () => descriptors() <= before);
    // The places are free again.
    open();
    for (const flow of flows) flow.close();
  });
});
