// Both ends of a tunnel say when the system gives QUIC's socket less room than asked for.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import { dialTransport } from '../transport/open/dial.ts';
import { dialQuic } from '../transport/quic/dial.ts';

describe('receive buffers of QUIC', () => {
  // More than any system grants.
  const quicTuning = { socketBuffer: 1_000_000_000 };

  it('that the system keeps small are warned of once, by edge and connector', async t => {
    const world = await EdgeWorld.open(t, { quicTuning });
    const warnings = (): unknown[] =>
      world.lines.map(line => line.message).filter(text => /^QUIC may lose packets in bursts: /.test(String(text)));
    assert.equal(warnings().length, 1);
    await world.connect(await world.makeTunnel(), [{ service: 'http_status:204' }], {
      protocol: 'quic',
      haConnections: 2,
      dial: (_protocol, options) => dialQuic({ ...options, tuning: { ...quicTuning, idleTimeoutMs: 5_000 } }),
    });
    assert.equal(warnings().length, 2);
    const [atEdge, atConnector] = warnings();
    assert.equal(atEdge, atConnector);
    if (process.platform === 'linux')
      assert.match(String(atEdge), /of \d+ bytes only\. Set net\.core\.rmem_max to 1000000000 or more$/);
  });

  it('of a size that the system grants are no matter, and HTTP/2 has none', async t => {
    const enough = { socketBuffer: 100_000 };
    const world = await EdgeWorld.open(t, { quicTuning: enough });
    const tunnel = await world.makeTunnel();
    const ingress = [{ service: 'http_status:204' }];
    await world.connect(tunnel, ingress, {
      protocol: 'quic',
      dial: (_protocol, options) => dialQuic({ ...options, tuning: enough }),
    });
    await world.connect(tunnel, ingress, { dial: dialTransport });
    assert.doesNotMatch(JSON.stringify(world.lines), /QUIC may lose packets/);
  });
});
