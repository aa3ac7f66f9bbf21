import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { describe, it } from 'node:test';
import { PrivateWorld } from '../../../test/support/private-world.ts';
import { createAssociationCounters, UdpAssociation } from './udp-association.ts';

/** Sockets of this process. */
function sockets(): number {
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')) count += 1;
    } catch {
      // The descriptor of the listing itself.
    }
  }
  return count;
}

describe('UDP association', () => {
  it('keeps no socket when it cannot be opened', { skip: process.platform !== 'linux' }, async t => {
    const world = await PrivateWorld.open();
    t.after(() => world.close());
    const visitor = { onRamp: 'socks', network: world.vnet, sourceAddress: '192.0.2.7', sourcePort: 1 } as const;
    const counters = createAssociationCounters();
    const before = sockets();
    for (let attempt = 0; attempt < 10; attempt += 1)
      await assert.rejects(() =>
        UdpAssociation.open({
          network: world.network,
          visitor,
          counters,
          clientPort: 0,
          // Of no interface of this machine (RFC 5737).
          localAddress: '192.0.2.1',
        }),
      );
    assert.deepEqual([sockets() - before, counters.active, counters.total], [0, 0, 0]);
  });
});
