// Connections that register and carry nothing, over both transports, beside those that do.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { claimFor, dialBare } from '../../test/support/bare-connector.ts';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import { within } from '../../test/support/wait.ts';
import { PosternError } from '../errors/error.ts';
import { RegistrationClient } from '../rpc/registration-client.ts';
import { dialHttp2 } from '../transport/http2/dial.ts';
import { dialQuic } from '../transport/quic/dial.ts';
import type { ConnectorHandler } from '../transport/transport.ts';

const echoTimes = { firstMs: 20, everyMs: 50, timeoutMs: 150 };
const never = new Promise<never>(() => undefined);
/** Takes every stream and call, and answers none: what a program that hangs looks like from outside. */
const hangs: ConnectorHandler = { stream: () => undefined, configure: () => never };

describe('an echo through each connection', () => {
  for (const protocol of ['http2', 'quic'] as const) {
    it(`ends one that registered over ${protocol} and carries nothing, and no other`, async t => {
      const world = await EdgeWorld.open(t, { echoTimes });
      const tunnel = await world.makeTunnel();
      const good = await world.connect(tunnel, [{ service: 'http_status:204' }], { protocol });
      const hung = await dialHung(t, world, protocol);
      await new RegistrationClient(await hung.control, { timeoutMs: 5_000 }).registerConnection(claimFor(tunnel));
      const registeredMs = performance.now();
      // The transport is well all the time.
      await hung.ping?.(5_000);
      await within('the end of the connection', hung.closed);
      const tookMs = performance.now() - registeredMs;
      assert.ok(tookMs >= 2 * echoTimes.timeoutMs && tookMs < 5_000, `${tookMs} ms`);
      assert.equal(world.lines.filter(({ message }) => /carries nothing/.test(String(message))).length, 1);
      assert.equal(good.connector.readyCount, 1);
      assert.equal(good.orchestrator.version, -1);
      assert.equal(world.edge.registry.connectionsOf(tunnel.id as never).length, 1);
    });
  }

  it('takes an error for an answer', async t => {
    const world = await EdgeWorld.open(t, { echoTimes });
    const tunnel = await world.makeTunnel();
    const bare = await dialBare(t, world);
    await bare.client.registerConnection(claimFor(tunnel));
    let ended = false;
    void bare.connection.closed.then(() => {
      ended = true;
    });
    await new Promise(resolve => setTimeout(resolve, 3 * echoTimes.timeoutMs));
    assert.equal(ended, false);
  });
});

async function dialHung(t: Parameters<typeof dialBare>[0], world: EdgeWorld, protocol: 'http2' | 'quic') {
  const options = {
    host: '127.0.0.1',
    port: world.edge.connectorPort,
    ca: [world.edge.caPem],
    serverName: `${protocol === 'quic' ? 'quic' : 'h2'}.cftunnel.com`,
    timeoutMs: 10_000,
  };
  const connection = await (protocol === 'quic' ? dialQuic(options) : dialHttp2(options));
  t.after(() => connection.abort(new PosternError('connection.closed', 'The test is over.')));
  connection.serve(hangs);
  return connection;
}
