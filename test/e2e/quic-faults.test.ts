// What happens to a tunnel of real programs when its edge restarts or dies, its NAT rebinds, its process is suspended, or
// its path is narrow.

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { openEdgePath } from '../support/edge-path.ts';
import { allOver, countOf, registrations, TunnelWorld } from '../support/tunnel-world.ts';
import { until, within } from '../support/wait.ts';

describe('faults', () => {
  for (const protocol of ['quic', 'http2', 'auto']) {
    it(`is back soon after a restart of the edge (${protocol})`, async t => {
      const world = await TunnelWorld.open(t);
      const connector = await world.connect({ protocol, connections: 2 });
      assert.equal(await world.stopEdge('SIGTERM'), 0);
      // A stop on purpose is nothing to warn of.
      assert.doesNotMatch(world.edge.log(), / (WRN|ERR) /);
      await world.startEdge();
      await until('both connections', () => registrations(connector).length >= 4, 60_000);
      // With auto HTTP/2 may win while the edge comes up; those connections move.
      const wanted = protocol === 'http2' ? 'http2' : 'quic';
      await until(`both connections over ${wanted}`, () => allOver(connector, wanted, 2), 90_000);
      assert.equal((await world.get('/x')).text, 'origin /x');
    });
  }

  for (const protocol of ['quic', 'http2']) {
    it(`learns of a stop of the edge while a request still runs, and finishes it (${protocol})`, async t => {
      const held: ServerResponse[] = [];
      const world = await TunnelWorld.open(t, {
        origin: (_message, response) => {
          response.write('begun ');
          held.push(response);
        },
        edgeFlags: ['--grace-period', '60s'],
      });
      const connector = await world.connect({ protocol });
      const answer = world.get('/slow');
      await until('the request', () => held.length === 1);
      world.edge.child.kill('SIGTERM');
      await connector.logged(/The edge ends this connection, replacing it/);
      // It dials again already, in vain: this edge was the only one.
      await connector.logged(/Unable to establish connection with the edge/);
      assert.equal(world.edge.child.exitCode, null);
      held[0]?.end('finished');
      assert.equal((await answer).text, 'begun finished');
      assert.equal(await within('the exit of the edge', world.edge.exited), 0);
    });

    it(`is back soon after the edge was killed (${protocol})`, async t => {
      const world = await TunnelWorld.open(t);
      const connector = await world.connect({ protocol, connections: 2 });
      assert.equal(await world.stopEdge('SIGKILL'), 'SIGKILL');
      await world.startEdge();
      await connector.logged(/Lost connection with the edge/);
      await until('both connections', () => registrations(connector).length === 4, 60_000);
      assert.equal((await world.get('/x')).text, 'origin /x');
    });

    it(`recovers by itself from ten seconds of suspension (${protocol})`, async t => {
      const world = await TunnelWorld.open(t);
      const connector = await world.connect({ protocol, connections: 2 });
      connector.child.kill('SIGSTOP');
      await new Promise(resolve => setTimeout(resolve, 10_000));
      connector.child.kill('SIGCONT');
      await world.untilServed();
      // Whichever connections were given up meanwhile come back, all of them.
      const lost = (): number => countOf(connector, /Lost connection with the edge|The edge ends this connection/g);
      await until('both connections', () => registrations(connector).length === 2 + lost());
      for (let round = 0; round < 20; round += 1) assert.equal((await world.get('/')).status, 200);
    });
  }

  it('keeps a connection and its running request when a NAT moves it to another port', async t => {
    const held: ServerResponse[] = [];
    const world = await TunnelWorld.open(t, {
      origin: (message, response) => {
        if (message.url === '/slow') {
          response.write('before ');
          held.push(response);
        } else response.end('quick');
      },
    });
    const path = await openEdgePath(t, world.connectorPort);
    const connector = await world.connect({ port: path.port, protocol: 'quic' });
    const slow = world.get('/slow');
    await until('the request', () => held.length === 1);
    for (let round = 0; round < 3; round += 1) {
      await path.udp.rebind();
      // The connector's next packet, an answer or its keep-alive, shows the edge where it is now.
      assert.equal((await world.get('/quick')).text, 'quick');
      held[0]?.write(`${round} `);
    }
    held[0]?.end('after');
    assert.equal((await slow).text, 'before 0 1 2 after');
    assert.deepEqual(registrations(connector), ['quic']);
  });

  it('carries bodies both ways over a path of 1,280 bytes', async t => {
    const body = 'y'.repeat(3_000_000);
    const world = await TunnelWorld.open(t, { origin: (_message, response) => void response.end(body) });
    // 1,280 bytes less 20 of IPv4 and 8 of UDP.
    const path = await openEdgePath(t, world.connectorPort, { maxPayloadBytes: 1_252 });
    const connector = await world.connect({ port: path.port, protocol: 'quic' });
    assert.ok((await world.get('/')).text === body);
    assert.ok(path.udp.counts.tooLarge > 0, 'path MTU discovery tried more');
    assert.deepEqual(registrations(connector), ['quic']);
  });
});
