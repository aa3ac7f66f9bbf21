// The edge's end of the UDP benchmark, a process of its own: accepts one connector over QUIC and keeps a window of
// datagrams under way through flows of the version that the connector announced. Forked by udp.ts; see udp-command.ts.

import { randomUUID, X509Certificate } from 'node:crypto';
import { type EdgeFlow, EdgeFlows } from '../../internal/datagram/edge-flow.ts';
import type { EdgeMux } from '../../internal/datagram/edge-mux.ts';
import { EdgeMuxV2 } from '../../internal/datagram/edge-v2.ts';
import { EdgeMuxV3 } from '../../internal/datagram/edge-v3.ts';
import { IdleWheel } from '../../internal/datagram/idle-wheel.ts';
import { serveRegistration } from '../../internal/rpc/registration-server.ts';
import { silentLogger } from '../../internal/telemetry/logger.ts';
import { listenQuic } from '../../internal/transport/quic/listen.ts';
import { spkiPin } from '../../internal/transport/tls.ts';
import type { EdgeConnection } from '../../internal/transport/transport.ts';
import { datagramVersionOf } from '../../internal/wire/features.ts';
import { sessionCalls } from '../support/private-edge.ts';
import { createTestCa } from '../support/test-ca.ts';
import { until } from '../support/wait.ts';
import { payloadBytes, type UdpCommand, type UdpEvent, type UdpResult } from './udp-command.ts';

const loopback = Uint8Array.of(127, 0, 0, 1);
/** A window that has not moved for so long has lost datagrams, which are sent anew. */
const stallMs = 300;

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

async function run({ originPort, count, atOnce, sessions }: UdpCommand): Promise<UdpResult> {
  const payload = new Uint8Array(payloadBytes).fill(7);
  const open: EdgeFlow[] = [];
  const done = Promise.withResolvers<void>();
  let [sent, echoed, lost] = [0, 0, 0];
  const send = (flow: EdgeFlow | undefined): void => {
    if (sent >= count) return;
    sent += 1;
    flow?.send(payload);
  };
  for (let index = 0; index < sessions; index += 1) {
    const flow: EdgeFlow = flows.open({
      ...{ address: loopback, port: originPort, idleMs: 60_000 },
      route: () => mux,
      payload: () => {
        echoed += 1;
        if (echoed + lost >= count) done.resolve();
        else send(flow);
      },
      ended: end => {
        if (end.kind !== 'closed') done.reject(new Error(`A flow ended: ${JSON.stringify(end)}`));
      },
    });
    open.push(flow);
  }
  await until('every flow', () => open.every(flow => flow.isOpen));
  let before = -1;
  const refill = setInterval(() => {
    if (echoed === before) {
      lost = sent - echoed;
      if (sent >= count) done.resolve();
      for (let index = 0; index < atOnce; index += 1) send(open[index % sessions]);
    }
    before = echoed;
  }, stallMs);
  const startedMs = performance.now();
  for (let index = 0; index < atOnce; index += 1) send(open[index % sessions]);
  await done.promise;
  clearInterval(refill);
  const elapsedMs = performance.now() - startedMs;
  for (const flow of open) flow.close();
  return { echoed, lost, elapsedMs };
}

const ca = await createTestCa('Bench CA');
const identity = await ca.issue(['quic.cftunnel.com']);
const { address } = listenQuic({ host: '127.0.0.1', port: 0, ...identity, onConnection: accept });
process.on('message', (command: UdpCommand) => void run(command).then(result => tell({ event: 'result', result })));
process.on('disconnect', () => process.exit(0));
tell({ event: 'listening', port: address.port, caPin: spkiPin(new X509Certificate(ca.cert)) });
