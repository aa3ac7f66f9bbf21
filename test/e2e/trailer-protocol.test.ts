// `--protocol auto` with an origin that may speak gRPC: over QUIC where the edge is known to be ours, and on HTTP/2
// elsewhere, because stock edges carry no trailers over QUIC.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { AutoProtocol } from '../../internal/connector/protocol/auto-protocol.ts';
import type { Tunnel } from '../../internal/connector/tunnel.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { EdgeWorld } from '../support/edge-world.ts';

const auto = (): AutoProtocol =>
  new AutoProtocol({ nowMs: () => performance.now(), random: Math.random, onChange: () => undefined });

const protocols = (tunnel: Tunnel): string[] => tunnel.connector.connections.map(info => info.protocol);

async function connect(
  t: TestContext,
  rule: Record<string, unknown>,
  isPinned: boolean,
): Promise<{ world: EdgeWorld; connector: Tunnel; warnings: number }> {
  const world = await EdgeWorld.open(t);
  const tunnel = await world.makeTunnel();
  const { edge } = world.identity(tunnel);
  const caPin = isPinned ? spkiPin(new X509Certificate(world.edge.caPem)) : undefined;
  const connector = await world.connect(tunnel, [rule], {
    policy: auto(),
    haConnections: 2,
    edge: { ...edge, caPin, ca: isPinned ? undefined : edge.ca },
  });
  const warnings = world.lines.filter(line => /stay on HTTP\/2/.test(String(line.message))).length;
  return { world, connector, warnings };
}

describe('the protocol of a tunnel whose origin may speak gRPC', () => {
  it('is HTTP/2 towards an edge that may be a stock one, and the log says why once', async t => {
    for (const rule of [
      { service: 'h2c://127.0.0.1:1' },
      { service: 'https://127.0.0.1:1', originRequest: { http2Origin: true } },
    ]) {
      const { connector, warnings } = await connect(t, rule, false);
      assert.deepEqual(protocols(connector), ['http2', 'http2']);
      assert.equal(warnings, 1);
    }
  });

  it('is QUIC towards an edge of ours, and for other origins', async t => {
    for (const [service, isPinned] of [
      ['h2c://127.0.0.1:1', true],
      ['http://127.0.0.1:1', false],
    ] as const) {
      const { connector, warnings } = await connect(t, { service }, isPinned);
      assert.deepEqual(protocols(connector), ['quic', 'quic']);
      assert.equal(warnings, 0);
    }
  });
});
