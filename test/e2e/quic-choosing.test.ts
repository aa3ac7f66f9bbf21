// Choosing between QUIC and HTTP/2 with the real programs: UDP blocked from the start, blocked later, unblocked again, and
// protocols that were asked for.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openEdgePath } from '../support/edge-path.ts';
import { allOver, countOf, registrations, TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';

describe('choosing the protocol', () => {
  it('is on HTTP/2 soon where UDP is blocked, probes quietly, and moves to QUIC when UDP works again', async t => {
    const world = await TunnelWorld.open(t);
    const path = await openEdgePath(t, world.connectorPort);
    path.udp.cut(true);
    const connector = await world.connect({ port: path.port, connections: 2 });
    assert.deepEqual(registrations(connector), ['http2', 'http2']);
    // The dial that waited for QUIC names it nowhere as a failure: nothing is wrong.
    assert.equal(countOf(connector, /Unable to establish connection/g), 0);
    await world.untilServed();
    // The checks at start send packets over UDP too: only what comes after them is a probe.
    await connector.logged(/precheck complete/);
    const probes = path.udp.counts.blocked;
    await until('a probe of QUIC', () => path.udp.counts.blocked > probes, 60_000);
    path.udp.cut(false);
    // Two probes prove it, 10 s apart; one that the block still failed puts the next one off for more than a minute.
    await until('QUIC to get through', () => countOf(connector, /QUIC gets through again/g) === 1, 120_000);
    await until('both connections to move', () => registrations(connector).length === 4, 60_000);
    assert.deepEqual(registrations(connector), ['http2', 'http2', 'quic', 'quic']);
    assert.equal(countOf(connector, /Moving this connection to \S+ over quic/g), 2);
    for (let round = 0; round < 10; round += 1) assert.equal((await world.get(`/${round}`)).text, `origin /${round}`);
    assert.equal(countOf(connector, /Lost connection|Unable to establish/g), 0);
    // Probes are handshakes without a registration: nothing for the log of an edge.
    assert.doesNotMatch(world.edge.log(), / (WRN|ERR) /);
  });

  it('goes over to HTTP/2 within seconds when UDP stops passing, and stays there while it does not', async t => {
    const world = await TunnelWorld.open(t);
    const path = await openEdgePath(t, world.connectorPort);
    const connector = await world.connect({ port: path.port, connections: 2 });
    // Usually at once; a machine that is busy for seconds may let HTTP/2 win the first race.
    await until('both connections over QUIC', () => allOver(connector, 'quic', 2), 90_000);
    path.udp.cut(true);
    await connector.logged(/Lost connection with the edge/);
    await until('both connections over HTTP/2', () => allOver(connector, 'http2', 2), 60_000);
    await connector.logged(/Switching to fallback protocol http2/);
    const settled = registrations(connector).length;
    for (let round = 0; round < 10; round += 1) assert.equal((await world.get(`/${round}`)).text, `origin /${round}`);
    assert.equal(registrations(connector).length, settled);
  });

  it('moves a single connection while visitors come, and fails none of them', async t => {
    const world = await TunnelWorld.open(t);
    const path = await openEdgePath(t, world.connectorPort);
    path.udp.cut(true);
    const connector = await world.connect({ port: path.port });
    assert.deepEqual(registrations(connector), ['http2']);
    path.udp.cut(false);
    const failures: string[] = [];
    let rounds = 0;
    await until(
      'the move',
      async () => {
        const answer = await world.get(`/${rounds}`);
        if (answer.text !== `origin /${rounds}`) failures.push(JSON.stringify(answer));
        rounds += 1;
        return registrations(connector).length === 2;
      },
      60_000,
    );
    assert.deepEqual(registrations(connector), ['http2', 'quic']);
    assert.deepEqual(failures, []);
  });

  it('never leaves QUIC when that was asked for', async t => {
    const world = await TunnelWorld.open(t);
    const path = await openEdgePath(t, world.connectorPort);
    path.udp.cut(true);
    const connector = world.startConnector({ port: path.port, protocol: 'quic' });
    await until('two failed dials', () => countOf(connector, /Unable to establish connection/g) >= 2, 60_000);
    assert.deepEqual(registrations(connector), []);
    path.udp.cut(false);
    await connector.logged(/Registered tunnel connection .*protocol=quic/);
    assert.equal((await world.get('/')).status, 200);
  });

  for (const protocol of ['http2', 'h2mux']) {
    it(`never tries QUIC with --protocol ${protocol}`, async t => {
      const world = await TunnelWorld.open(t);
      const path = await openEdgePath(t, world.connectorPort);
      const connector = await world.connect({ port: path.port, protocol });
      assert.deepEqual(registrations(connector), ['http2']);
      path.tcp.cut();
      await until('the connection to come back', () => registrations(connector).length === 2);
      assert.deepEqual(registrations(connector), ['http2', 'http2']);
      assert.equal(path.udp.clients, 0);
      assert.equal(/WRN The protocol h2mux is no longer there/.test(connector.log()), protocol === 'h2mux');
    });
  }

  it('does not flap on a path that loses one packet in twenty', async t => {
    const world = await TunnelWorld.open(t, { origin: (_message, response) => void response.end('x'.repeat(20_000)) });
    const path = await openEdgePath(t, world.connectorPort, { lossPerMille: 50, delayMs: 5 });
    const connector = await world.connect({ port: path.port, connections: 2 });
    for (let round = 0; round < 300; round += 1) assert.equal((await world.get('/')).text.length, 20_000);
    assert.equal(countOf(connector, /Lost connection/g), 0);
    // A handshake may lose its race on such a path; then the connections move to QUIC later, once each, and stay.
    const later = registrations(connector).slice(2);
    assert.ok(later.length <= 2 && later.every(protocol => protocol === 'quic'), String(registrations(connector)));
    assert.ok(path.udp.counts.lost > 0);
  });
});
