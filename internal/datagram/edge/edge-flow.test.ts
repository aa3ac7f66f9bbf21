// Both ends together: the edge's flows against the connector's sessions, over an in-memory channel and real sockets.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sessionEnvironment, type TestEnvironment } from '../../../test/support/connector-sessions.ts';
import { createDatagramPair, type DatagramPairOptions } from '../../../test/support/datagram-pair.ts';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import { openUdpEcho, type UdpEcho } from '../../../test/support/udp-echo.ts';
import { until } from '../../../test/support/wait.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { IdleWheel } from '../channel/idle-wheel.ts';
import { ConnectorMuxV2 } from '../connector/connector-v2.ts';
import { ConnectorSessionsV3 } from '../connector/connector-v3.ts';
import { type EdgeFlow, EdgeFlows, type FlowEnd, type FlowRequest } from './edge-flow.ts';
import type { EdgeMux } from './edge-mux.ts';
import { EdgeMuxV2 } from './edge-v2.ts';
import { EdgeMuxV3 } from './edge-v3.ts';

const loopback = Uint8Array.of(127, 0, 0, 1);

interface Link {
  readonly mux: EdgeMux;
  /** Ends the connection at both ends, as a lost transport does. */
  lose(): void;
}

/** A tunnel of several connections of one connector, of one version. */
interface Tunnel {
  connect(options?: DatagramPairOptions): Link;
  /** Sessions alive at the connector. */
  sessions(): number;
  close(): void;
}

function tunnelV3(environment: TestEnvironment): Tunnel {
  const sessions = new ConnectorSessionsV3(environment);
  let index = 0;
  return {
    connect: options => {
      const pair = createDatagramPair(options);
      const connector = sessions.attach({ channel: pair.connector, connIndex: index, packets: undefined });
      const mux = new EdgeMuxV3(pair.edge, index, ['postern_v3_idle_time']);
      index += 1;
      const lose = (): void => {
        connector.close();
        mux.close();
      };
      return { mux, lose };
    },
    sessions: () => sessions.size,
    close: () => sessions.close(),
  };
}

function tunnelV2(environment: TestEnvironment): Tunnel {
  const connectors: ConnectorMuxV2[] = [];
  return {
    connect: options => {
      const pair = createDatagramPair(options);
      const connIndex = connectors.length;
      const connector: ConnectorMuxV2 = new ConnectorMuxV2(environment, {
        channel: pair.connector,
        connIndex,
        packets: undefined,
        unregister: (id, message) => setImmediate(() => mux.sessionEnded(id, message)),
      });
      // RPC calls between the two, each a turn of the event loop away.
      const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
      const mux = new EdgeMuxV2(
        pair.edge,
        connIndex,
        {
          register: async session => {
            await turn();
            return await connector.registerSession(session);
          },
          unregister: async (id, message) => {
            await turn();
            connector.unregisterSession(id, message);
          },
        },
        silentLogger(),
      );
      connectors.push(connector);
      const lose = (): void => {
        connector.close();
        mux.close();
      };
      return { mux, lose };
    },
    sessions: () => connectors.reduce((sum, connector) => sum + connector.size, 0),
    close: () => {
      for (const connector of connectors) connector.close();
    },
  };
}

interface Rig {
  readonly tunnel: Tunnel;
  readonly flows: EdgeFlows;
  readonly echo: UdpEcho;
  readonly environment: TestEnvironment;
  /** Opens a flow to the echo and collects what it gets. */
  open(
    route: () => EdgeMux | undefined,
    fields?: Partial<FlowRequest>,
  ): { flow: EdgeFlow; got: string[]; ends: FlowEnd[] };
}

for (const [version, createTunnel] of [
  ['v2', tunnelV2],
  ['v3', tunnelV3],
] as const) {
  async function withRig(body: (rig: Rig) => Promise<void>, options: { limit?: number } = {}): Promise<void> {
    const environment = sessionEnvironment(options);
    const tunnel = createTunnel(environment);
    const wheel = new IdleWheel({ tickMs: 10 });
    const flows = new EdgeFlows({ wheel, log: silentLogger() });
    const echo = await openUdpEcho();
    const open: Rig['open'] = (route, fields) => {
      const got: string[] = [];
      const ends: FlowEnd[] = [];
      const flow = flows.open({
        address: loopback,
        port: echo.port,
        idleMs: 30_000,
        route,
        payload: payload => got.push(Buffer.from(payload).toString()),
        ended: end => ends.push(end),
        ...fields,
      });
      return { flow, got, ends };
    };
    try {
      await body({ tunnel, flows, echo, environment, open });
    } finally {
      flows.close();
      tunnel.close();
      await echo.close();
    }
    assert.equal(flows.counters.active, 0);
    assert.equal(wheel.size, 0);
    assert.equal(environment.flows.taken, 0);
    assert.equal(environment.wheel.size, 0);
  }

  describe(`flows of the edge, datagram ${version}`, () => {
    it('carry payloads both ways from the first one on, and end at the connector when closed', async () => {
      await withRig(async ({ tunnel, open, environment }) => {
        const { mux } = tunnel.connect();
        const { flow, got, ends } = open(() => mux);
        assert.ok(flow.send(Buffer.from('first')));
        assert.ok(flow.send(Buffer.from('')));
        await until('echoes', () => got.length === 2);
        assert.ok(flow.send(Buffer.alloc(1280, 'x')));
        await until('large echo', () => got.length === 3);
        assert.deepEqual(got.slice(0, 2), ['first', '']);
        assert.equal(flow.bytesUp, 1285);
        assert.equal(flow.bytesDown, 1285);
        assert.equal(flow.datagramsDown, 3);
        assert.ok(!flow.send(Buffer.alloc(1281)));
        assert.equal(mux.counters.dropped.send_too_large, 1);
        flow.close();
        flow.close();
        assert.deepEqual(ends, [{ kind: 'closed' }]);
        assert.ok(!flow.send(Buffer.from('late')));
        if (mux.version === 2) await until('unregistered', () => environment.flows.taken === 0);
        assert.equal(mux.counters.activeSessions, 0);
      });
    });

    it('keep two flows to one destination apart', async () => {
      await withRig(async ({ tunnel, open, echo }) => {
        const { mux } = tunnel.connect();
        const a = open(() => mux);
        const b = open(() => mux);
        a.flow.send(Buffer.from('a'));
        b.flow.send(Buffer.from('b'));
        await until('echoes', () => a.got.length + b.got.length === 2);
        assert.deepEqual([a.got, b.got], [['a'], ['b']]);
        assert.equal(echo.sources.size, 2);
      });
    });

    it('idle out at the edge, which the connector does not outlive for long', async () => {
      await withRig(async ({ tunnel, open }) => {
        const { mux } = tunnel.connect();
        const { flow, got, ends } = open(() => mux, { idleMs: 150 });
        flow.send(Buffer.from('x'));
        await until('echo', () => got.length === 1);
        await until('idle', () => ends.length === 1);
        assert.deepEqual(ends, [{ kind: 'idle' }]);
        // v2 by a call, v3 by an idle time of a second.
        await until('ended at the connector', () => tunnel.sessions() === 0);
      });
    });

    it('move to another connection when theirs is lost', async () => {
      await withRig(async ({ tunnel, open, flows, echo }) => {
        const links = [tunnel.connect(), tunnel.connect()];
        const { flow, got, ends } = open(() => links.find(link => link.mux.open)?.mux);
        flow.send(Buffer.from('one'));
        await until('echo', () => got.length === 1);
        links[0]?.lose();
        flow.send(Buffer.from('two'));
        await until('echo', () => got.length === 2);
        assert.equal(flow.connection, links[1]?.mux);
        assert.equal(flows.counters.moved, 1);
        assert.deepEqual(ends, []);
        // The v3 session survived at the connector: the origin sees the same port.
        assert.equal(echo.sources.size, version === 'v3' ? 1 : 2);
      });
    });

    it('wait for a connection to come back, and end when none does', async () => {
      await withRig(async ({ tunnel, open }) => {
        let link = tunnel.connect();
        const { flow, got } = open(() => (link.mux.open ? link.mux : undefined));
        flow.send(Buffer.from('one'));
        await until('echo', () => got.length === 1);
        link.lose();
        flow.send(Buffer.from('meanwhile'));
        link = tunnel.connect();
        await until('moved', () => got.length === 2);
        const nowhere = open(() => undefined);
        await until('unreachable', () => nowhere.ends.length === 1);
        assert.deepEqual(nowhere.ends, [{ kind: 'unreachable' }]);
      });
    });

    it('hear refusals', async () => {
      await withRig(
        async ({ tunnel, open }) => {
          const { mux } = tunnel.connect();
          const { ends } = open(() => mux);
          await until('refused', () => ends.length === 1);
          assert.equal(ends[0]?.kind, 'refused');
          if (ends[0]?.kind === 'refused') assert.match(ends[0].message, /too many active flows/);
        },
        { limit: 0 },
      );
    });

    it('hold a bounded number of payloads while they register', async () => {
      await withRig(async ({ tunnel, open, flows }) => {
        const { mux } = tunnel.connect();
        const { flow, got } = open(() => mux);
        const sent = Array.from({ length: 40 }, (_, index) => flow.send(Buffer.from(`${index}`)));
        assert.equal(sent.filter(Boolean).length, 16);
        assert.equal(flows.counters.droppedWaiting, 24);
        await until('echoes', () => got.length === 16);
      });
    });

    it('take no harm from random datagrams', async () => {
      const random = seededRandom(11);
      const { edge, connector } = createDatagramPair();
      const calls = { register: async () => undefined, unregister: async () => undefined };
      const mux = version === 'v3' ? new EdgeMuxV3(edge, 0) : new EdgeMuxV2(edge, 0, calls, silentLogger());
      for (let round = 0; round < 3_000; round += 1) connector.send(random.bytes(random.below(60)));
      await until('all seen', () => {
        const { malformed, dropped } = mux.counters;
        return malformed.short + malformed['unknown-type'] + dropped.write_flow_unknown > 2_000;
      });
      mux.close();
    });
  });
}

describe('flows of the edge, datagram v3 on a bad path', () => {
  it('repeat their registration until it is answered', async () => {
    const environment = sessionEnvironment();
    const tunnel = tunnelV3(environment);
    const flows = new EdgeFlows({ wheel: new IdleWheel({ tickMs: 10 }), log: silentLogger() });
    const echo = await openUdpEcho();
    let lost = 0;
    // The first registration and the first answer are lost.
    const seen = new Set<number>();
    const lose = (datagram: Uint8Array): boolean => {
      const type = datagram[0] ?? 0;
      if ((type !== 0 && type !== 3) || seen.has(type)) return false;
      seen.add(type);
      lost += 1;
      return true;
    };
    const { mux } = tunnel.connect({ lose });
    const got: string[] = [];
    const flow = flows.open({
      address: loopback,
      port: echo.port,
      idleMs: 30_000,
      route: () => mux,
      payload: payload => got.push(Buffer.from(payload).toString()),
      ended: () => undefined,
    });
    flow.send(Buffer.from('patience'));
    await until('echo', () => got.length === 1);
    assert.equal(lost, 2);
    assert.equal(tunnel.sessions(), 1);
    flows.close();
    tunnel.close();
    await echo.close();
  });

  it('learn from a repeated registration that the connector has forgotten them', async () => {
    const environment = sessionEnvironment();
    const tunnel = tunnelV3(environment);
    const { mux } = tunnel.connect();
    let nowMs = 0;
    const wheel = new IdleWheel({ tickMs: 10, now: () => nowMs });
    const flows = new EdgeFlows({ wheel, log: silentLogger() });
    const echo = await openUdpEcho();
    const got: string[] = [];
    const flow = flows.open({
      address: loopback,
      port: echo.port,
      idleMs: 3_600_000,
      route: () => mux,
      payload: payload => got.push(Buffer.from(payload).toString()),
      ended: () => undefined,
    });
    flow.send(Buffer.from('one'));
    await until('echo', () => got.length === 1);
    tunnel.close();
    assert.equal(tunnel.sessions(), 0);
    nowMs += 11_000;
    // Registers again and goes in the same breath; the second payload finds the session.
    flow.send(Buffer.from('two'));
    await until('registered again', () => tunnel.sessions() === 1);
    flow.send(Buffer.from('three'));
    await until('echo', () => got.includes('three'));
    flows.close();
    tunnel.close();
    await echo.close();
  });
});
