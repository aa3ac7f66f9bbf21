// The edge's end of the UDP benchmark, a process of its own: accepts one connector over QUIC and keeps a window of
// datagrams under way through flows of the version that the connector announced, or through a UDP proxy. Forked by udp.ts;
// see udp-command.ts.

import { randomUUID } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { IdleWheel } from '../../internal/datagram/channel/idle-wheel.ts';
import { type EdgeFlow, EdgeFlows } from '../../internal/datagram/edge/edge-flow.ts';
import type { EdgeMux } from '../../internal/datagram/edge/edge-mux.ts';
import { EdgeMuxV2 } from '../../internal/datagram/edge/edge-v2.ts';
import { EdgeMuxV3 } from '../../internal/datagram/edge/edge-v3.ts';
import { serveRegistration } from '../../internal/rpc/registration-server.ts';
import { silentLogger } from '../../internal/telemetry/logger.ts';
import { listenQuic } from '../../internal/transport/quic/listen.ts';
import type { EdgeConnection } from '../../internal/transport/transport.ts';
import { datagramVersionOf } from '../../internal/wire/features.ts';
import { sessionCalls } from '../support/private-edge.ts';
import { createTestCa } from '../support/test-ca.ts';
import { until } from '../support/wait.ts';
import { payloadBytes, type UdpCommand, type UdpEvent, type UdpResult } from './udp-command.ts';
import { runWindow } from './udp-window.ts';

const loopback = Uint8Array.of(127, 0, 0, 1);

const flows = new EdgeFlows({ wheel: new IdleWheel(), log: silentLogger() });
let mux: EdgeMux | undefined;

function tell(event: UdpEvent): void {
  process.send?.(event);
}

function accept(connection: EdgeConnection): void {
  serveRegistration(connection.control, {
    register: ({ connIndex, features }) => {
      const { datagrams } = connection;
      if (datagrams === undefined) throw new Error('QUIC carries datagrams');
      const isV3 = datagramVersionOf(features) === 3;
      const made = isV3
        ? new EdgeMuxV3(datagrams, connIndex)
        : new EdgeMuxV2(datagrams, connIndex, sessionCalls(connection), silentLogger());
      mux = made;
      void connection.closed.then(() => made.close());
      // Path MTU discovery has to find that the payloads fit.
      void until('a path MTU', () => made.payloadLimit >= payloadBytes).then(() => tell({ event: 'registered' }));
      return Promise.resolve({
        details: { uuid: randomUUID(), locationName: 'bench', tunnelIsRemotelyManaged: false },
      });
    },
    updateLocalConfiguration: () => Promise.resolve(),
    unregister: () => {
      setImmediate(() => void connection.drain(1_000));
      return Promise.resolve();
    },
  });
}

async function run(command: UdpCommand): Promise<UdpResult> {
  const payload = new Uint8Array(payloadBytes).fill(7);
  const { originPort, proxyPort } = command;
  return proxyPort === undefined ? runTunnel(command, originPort, payload) : runProxy(command, proxyPort, payload);
}

function runTunnel(command: UdpCommand, port: number, payload: Uint8Array): Promise<UdpResult> {
  const opened: EdgeFlow[] = [];
  return runWindow(
    command,
    (_index, echoed, failed) => {
      const flow = flows.open({
        ...{ address: loopback, port, idleMs: 60_000 },
        route: () => mux,
        payload: echoed,
        ended: end => {
          if (end.kind !== 'closed') failed(new Error(`A flow ended: ${JSON.stringify(end)}`));
        },
      });
      opened.push(flow);
      return { send: () => void flow.send(payload), close: () => flow.close() };
    },
    () => until('every flow', () => opened.every(flow => flow.isOpen)),
  );
}

/** A socket for each session: a proxy tells sessions by the client's port. */
function runProxy(command: UdpCommand, port: number, payload: Uint8Array): Promise<UdpResult> {
  const connected: Promise<unknown>[] = [];
  return runWindow(
    command,
    (_index, echoed, failed) => {
      const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
      socket.on('message', echoed).on('error', failed);
      connected.push(once(socket, 'connect'));
      socket.connect(port, '127.0.0.1');
      return { send: () => socket.send(payload), close: () => void socket.close() };
    },
    async () => void (await Promise.all(connected)),
  );
}

const ca = await createTestCa('Bench CA');
const identity = await ca.issue(['quic.cftunnel.com']);
const { address } = listenQuic({ host: '127.0.0.1', port: 0, ...identity, onConnection: accept });
process.on('message', (command: UdpCommand) => void run(command).then(result => tell({ event: 'result', result })));
process.on('disconnect', () => process.exit(0));
tell({ event: 'listening', port: address.port, caPem: ca.cert });
