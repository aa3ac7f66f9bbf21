// What a UDP session costs: CPU-s per 100,000 echoed 1,200-byte datagrams through both ends' session code, an in-memory
// channel between them and a real UDP origin in another process. Run: node test/bench/datagram.ts [count] [sessions]
// A stock cloudflared spends 1.28 CPU-s per 100,000 with QUIC in it; here QUIC is not.

import { type ChildProcess, fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { IdleWheel } from '../../internal/datagram/channel/idle-wheel.ts';
import { ConnectorMuxV2 } from '../../internal/datagram/connector/connector-v2.ts';
import { ConnectorSessionsV3 } from '../../internal/datagram/connector/connector-v3.ts';
import type { SessionEnvironment } from '../../internal/datagram/connector/udp-session.ts';
import { EdgeFlows } from '../../internal/datagram/edge/edge-flow.ts';
import type { EdgeMux } from '../../internal/datagram/edge/edge-mux.ts';
import { EdgeMuxV2 } from '../../internal/datagram/edge/edge-v2.ts';
import { EdgeMuxV3 } from '../../internal/datagram/edge/edge-v3.ts';
import { chooseUdp } from '../../internal/datagram/socket/open-udp.ts';
import { type OpenUdp, openNodeUdp } from '../../internal/datagram/socket/udp-socket.ts';
import { silentLogger } from '../../internal/telemetry/logger.ts';
import { createDatagramPair } from '../support/datagram-pair.ts';

const payloadBytes = 1_200;
/** Datagrams under way at once, over all sessions. */
const windowSize = 64;

if (process.argv[2] === 'echo') serveEcho();
else await main();

/** The origin, in a process of its own so that its CPU time is not counted. */
function serveEcho(): void {
  const socket = createSocket('udp4');
  socket.on('message', (payload, { address, port }) => socket.send(payload, port, address));
  socket.bind(0, '127.0.0.1', () => process.send?.((socket.address() as AddressInfo).port));
  process.on('disconnect', () => socket.close());
}

async function main(): Promise<void> {
  const count = Number(process.argv[2] ?? 100_000);
  const sessions = Number(process.argv[3] ?? 1);
  const origin: ChildProcess = fork(fileURLToPath(import.meta.url), ['echo']);
  const port = await new Promise<number>(resolve => origin.once('message', resolve));
  for (const [name, openUdp] of [
    ['node:dgram', openNodeUdp],
    ['chosen', await chooseUdp()],
  ] as ReadonlyArray<readonly [string, OpenUdp]>) {
    for (const version of [2, 3] as const) {
      const { cpuSeconds, seconds, lost } = await measure(version, openUdp, port, count, sessions);
      const per100k = (cpuSeconds * 100_000) / count;
      console.log(
        `v${version} ${name}, ${sessions} sessions: ${per100k.toFixed(2)} CPU-s per 100,000 echoed datagrams ` +
          `(${Math.round(count / seconds)}/s, ${lost} lost)`,
      );
    }
  }
  origin.disconnect();
}

async function measure(
  version: 2 | 3,
  openUdp: OpenUdp,
  port: number,
  count: number,
  sessions: number,
): Promise<{ cpuSeconds: number; seconds: number; lost: number }> {
  const environment: SessionEnvironment = {
    openUdp,
    flows: { tryAcquire: () => true, release: () => undefined },
    allowDestination: () => true,
    overflowed: () => undefined,
    resolvers: [],
    wheel: new IdleWheel(),
    log: silentLogger(),
  };
  const { mux, close } = version === 2 ? connectV2(environment) : connectV3(environment);
  const flows = new EdgeFlows({ wheel: environment.wheel, log: silentLogger() });
  const payload = new Uint8Array(payloadBytes).fill(7);
  let sent = 0;
  let received = 0;
  let lost = 0;
  const done = Promise.withResolvers<void>();
  const opened = Array.from({ length: sessions }, () => {
    const flow = flows.open({
      address: Uint8Array.of(127, 0, 0, 1),
      port,
      idleMs: 60_000,
      route: () => mux,
      payload: () => {
        received += 1;
        if (received + lost >= count) done.resolve();
        else if (sent < count) {
          sent += 1;
          flow.send(payload);
        }
      },
      ended: () => undefined,
    });
    return flow;
  });
  await new Promise(resolve => setTimeout(resolve, 200));
  // A lost datagram would stop its part of the window for good: put it back when nothing has come for a while.
  let before = -1;
  const refill = setInterval(() => {
    if (received === before) {
      lost = sent - received;
      for (let index = 0; index < windowSize && sent < count; index += 1) {
        sent += 1;
        opened[index % sessions]?.send(payload);
      }
      if (received + lost >= count) done.resolve();
    }
    before = received;
  }, 500);
  const startedMs = performance.now();
  const cpu = process.cpuUsage();
  for (let index = 0; index < windowSize; index += 1) {
    sent += 1;
    opened[index % sessions]?.send(payload);
  }
  await done.promise;
  const used = process.cpuUsage(cpu);
  const seconds = (performance.now() - startedMs) / 1000;
  clearInterval(refill);
  flows.close();
  close();
  return { cpuSeconds: (used.user + used.system) / 1e6, seconds, lost };
}

function connectV3(environment: SessionEnvironment): { mux: EdgeMux; close: () => void } {
  const pair = createDatagramPair();
  const sessions = new ConnectorSessionsV3(environment);
  sessions.attach({ channel: pair.connector, connIndex: 0, packets: undefined });
  return { mux: new EdgeMuxV3(pair.edge, 0), close: () => sessions.close() };
}

function connectV2(environment: SessionEnvironment): { mux: EdgeMux; close: () => void } {
  const pair = createDatagramPair();
  const unregister = (): void => undefined;
  const connector = new ConnectorMuxV2(environment, {
    channel: pair.connector,
    connIndex: 0,
    packets: undefined,
    unregister,
  });
  const calls = {
    register: (session: Parameters<ConnectorMuxV2['registerSession']>[0]) => connector.registerSession(session),
    unregister: async () => undefined,
  };
  return { mux: new EdgeMuxV2(pair.edge, 0, calls, silentLogger()), close: () => connector.close() };
}
