// A small edge over QUIC that carries private UDP and ICMP: a muxer of the announced version for each registered
// connection, flows and echo clients over them. For tests of the connector's end.

import type { TestContext } from 'node:test';
import { IdleWheel } from '../../internal/datagram/channel/idle-wheel.ts';
import { EdgeEcho } from '../../internal/datagram/edge/edge-echo.ts';
import { type EdgeFlow, EdgeFlows, type FlowEnd } from '../../internal/datagram/edge/edge-flow.ts';
import type { EdgeMux } from '../../internal/datagram/edge/edge-mux.ts';
import { EdgeMuxV2 } from '../../internal/datagram/edge/edge-v2.ts';
import { EdgeMuxV3 } from '../../internal/datagram/edge/edge-v3.ts';
import type { IpBytes } from '../../internal/net/address/ip.ts';
import { ConnectorClient } from '../../internal/rpc/connector-client.ts';
import { serveSessionEvents } from '../../internal/rpc/session-events.ts';
import { silentLogger } from '../../internal/telemetry/logger.ts';
import type { EdgeConnection } from '../../internal/transport/transport.ts';
import { datagramVersionOf } from '../../internal/wire/features.ts';
import { type Registered, SmallEdge } from './small-edge.ts';

/** Addresses that echo requests come from; no host has them. */
const echoSources = {
  4: Uint8Array.of(192, 0, 0, 8),
  6: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
};

/** A flow with what came of it. */
export interface TestFlow {
  readonly flow: EdgeFlow;
  readonly received: Buffer[];
  readonly ends: FlowEnd[];
}

export class PrivateEdge {
  readonly edge: SmallEdge;
  readonly echo = new EdgeEcho(echoSources);
  readonly flows: EdgeFlows;
  readonly wheel = new IdleWheel({ tickMs: 20 });
  readonly #muxes = new Map<number, EdgeMux>();

  private constructor(edge: SmallEdge) {
    this.edge = edge;
    this.flows = new EdgeFlows({ wheel: this.wheel, log: silentLogger() });
    edge.onRegistered = entry => this.#attach(entry);
  }

  /** Closed with the test. */
  static async open(t: TestContext, options: { readonly port?: number } = {}): Promise<PrivateEdge> {
    const edge = await SmallEdge.open({ ...options, protocol: 'quic' });
    const opened = new PrivateEdge(edge);
    t.after(async () => {
      opened.flows.close();
      await edge.close();
    });
    return opened;
  }

  /** The muxer of a live connection. */
  mux(connIndex = 0): EdgeMux {
    const mux = this.#muxes.get(connIndex);
    if (mux === undefined) throw new Error(`connection ${connIndex} has no datagrams`);
    return mux;
  }

  /** Opens a flow over the first live connection of `order`, asked again whenever the flow has to move. */
  openFlow(
    address: IpBytes,
    port: number,
    options: { readonly order?: readonly number[]; readonly idleMs?: number } = {},
  ): TestFlow {
    const received: Buffer[] = [];
    const ends: FlowEnd[] = [];
    const order = options.order ?? [0, 1, 2, 3];
    const flow = this.flows.open({
      ...{ address, port, idleMs: options.idleMs ?? 60_000 },
      route: () => order.map(index => this.#muxes.get(index)).find(mux => mux?.open === true),
      payload: payload => received.push(Buffer.from(payload)),
      ended: end => ends.push(end),
    });
    return { flow, received, ends };
  }

  #attach({ request, connection }: Registered): void {
    const { connIndex } = request;
    const { datagrams } = connection;
    if (datagrams === undefined) throw new Error('QUIC carries datagrams');
    let mux: EdgeMux;
    if (datagramVersionOf(request.features) === 3) mux = new EdgeMuxV3(datagrams, connIndex);
    else {
      const v2 = new EdgeMuxV2(datagrams, connIndex, sessionCalls(connection), silentLogger());
      connection.acceptRpc(
        stream => void serveSessionEvents(stream, ({ sessionId, message }) => v2.sessionEnded(sessionId, message)),
      );
      mux = v2;
    }
    mux.onPacket(this.echo);
    this.#muxes.set(connIndex, mux);
    void connection.closed.then(() => {
      mux.close();
      if (this.#muxes.get(connIndex) === mux) this.#muxes.delete(connIndex);
    });
  }
}

/** The connector's session manager over streams of `connection`, one a call. */
export function sessionCalls(connection: EdgeConnection): ConstructorParameters<typeof EdgeMuxV2>[2] {
  const call = async <T>(body: (client: ConnectorClient) => Promise<T>): Promise<T> => {
    const stream = await connection.openRpc?.();
    if (stream === undefined) throw new Error('QUIC carries RPC streams');
    const client = new ConnectorClient(stream, { timeoutMs: 5_000 });
    try {
      return await body(client);
    } finally {
      client.close();
    }
  };
  return {
    register: ({ id, address, port, idleHintNs }) =>
      call(async client => {
        const closeAfterIdleMs = Number(idleHintNs / 1_000_000n);
        const request = { sessionId: id, dstIp: address, dstPort: port, closeAfterIdleMs, traceContext: '' };
        const { error } = await client.registerUdpSession(request);
        return error === '' ? undefined : error;
      }),
    unregister: (sessionId, message) => call(client => client.unregisterUdpSession({ sessionId, message })),
  };
}
