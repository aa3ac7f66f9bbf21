// What a UDP session costs a connector over real QUIC: CPU-s of the connector's process per 100,000 echoed 1,200-byte
// datagrams (v3), the edge and the UDP origin being processes of their own. A stock cloudflared spends 1.28 with v2.
// Run: node test/bench/datagram-quic.ts [count] [sessions]

import { type ChildProcess, fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ConnectorSessionsV3 } from '../../internal/datagram/connector-v3.ts';
import { EdgeFlows } from '../../internal/datagram/edge-flow.ts';
import { EdgeMuxV3 } from '../../internal/datagram/edge-v3.ts';
import { IdleWheel } from '../../internal/datagram/idle-wheel.ts';
import { chooseUdp } from '../../internal/datagram/open-udp.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { silentLogger } from '../../internal/telemetry/logger.ts';
import { dialQuic } from '../../internal/transport/quic/dial.ts';
import { listenQuic } from '../../internal/transport/quic/listen.ts';
import type { EdgeConnection } from '../../internal/transport/transport.ts';
import { createTestCa } from '../support/test-ca.ts';

const serverName = 'quic.cftunnel.com';
const payloadBytes = 1_200;
/** Datagrams under way at once, over all sessions. */
const windowSize = 128;

function serveOrigin(): void {
  const socket = createSocket('udp4');
  socket.on('message', (payload, { address, port }) => socket.send(payload, port, address));
  socket.bind(0, '127.0.0.1', () => process.send?.((socket.address() as AddressInfo).port));
  process.on('disconnect', () => socket.close());
}

/** The process that is measured. Any message is answered with its CPU time so far, in seconds. */
async function serveConnector(port: number, caPem: string): Promise<void> {
  const sessions = new ConnectorSessionsV3({
    openUdp: await chooseUdp(),
    flows: { tryAcquire: () => true, release: () => undefined },
    allowDestination: () => true,
    resolvers: [],
    wheel: new IdleWheel(),
    log: silentLogger(),
  });
  const connection = await dialQuic({ host: '127.0.0.1', port, ca: [caPem], serverName, timeoutMs: 10_000 });
  connection.serve({ stream: incoming => incoming.reset(), rpc: stream => stream.destroy() });
  if (connection.datagrams === undefined) throw new Error('The connection has no datagrams');
  const mux = sessions.attach({ channel: connection.datagrams, connIndex: 0, packets: undefined });
  if (process.env.DBG) setInterval(() => console.log('C', JSON.stringify(mux.counters.dropped), sessions.size), 1000);
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.({
      cpuSeconds: (user + system) / 1e6,
      rss: process.memoryUsage.rss(),
      dropped: mux.counters.dropped,
    });
  });
  process.once('disconnect', () => {
    sessions.close();
    connection.abort(new PosternError('connection.closed', 'The bench is over'));
  });
}

interface Usage {
  readonly cpuSeconds: number;
  readonly rss: number;
}

async function usage(connector: ChildProcess): Promise<Usage> {
  connector.send('usage');
  const [answer] = (await once(connector, 'message')) as [Usage];
  return answer;
}

async function measure(count: number, sessions: number): Promise<void> {
  const self = fileURLToPath(import.meta.url);
  const ca = await createTestCa();
  const { key, cert } = await ca.issue([serverName]);
  const accepted = Promise.withResolvers<EdgeConnection>();
  const listener = listenQuic({ host: '127.0.0.1', port: 0, key, cert, onConnection: accepted.resolve });
  const origin = fork(self, ['origin']);
  const [port] = (await once(origin, 'message')) as [number];
  const connector = fork(self, ['connector', `${listener.address.port}`, ca.cert]);
  const edge = await accepted.promise;
  if (edge.datagrams === undefined) throw new Error('The connection has no datagrams');
  const mux = new EdgeMuxV3(edge.datagrams, 0);
  const load = new Load(mux, port, count, sessions);
  await load.opened();
  // Path MTU discovery has to pass 1,217 bytes first; then a round to warm up.
  await until(() => mux.payloadLimit >= payloadBytes);
  await load.run(Math.min(20_000, count));
  const before = await usage(connector);
  const startedMs = performance.now();
  const lost = await load.run(count);
  const seconds = (performance.now() - startedMs) / 1000;
  const after = await usage(connector);
  const per100k = ((after.cpuSeconds - before.cpuSeconds) * 100_000) / count;
  console.log(
    `v3 over QUIC, ${sessions} sessions: connector ${per100k.toFixed(2)} CPU-s per 100,000 echoed datagrams, ` +
      `${Math.round(count / seconds)}/s, ${lost} lost, RSS ${Math.round(after.rss / 2 ** 20)} MiB`,
  );
  load.close();
  mux.close();
  connector.disconnect();
  origin.disconnect();
  edge.abort(new PosternError('connection.closed', 'The bench is over'));
  await listener.close();
}

/** Keeps a window of datagrams under way through the edge's flows. */
class Load {
  readonly #flows = new EdgeFlows({ wheel: new IdleWheel(), log: silentLogger() });
  readonly #open;
  readonly #payload = new Uint8Array(payloadBytes).fill(7);
  #sent = 0;
  #received = 0;
  #count = 0;
  #done: () => void = () => undefined;

  constructor(mux: EdgeMuxV3, port: number, count: number, sessions: number) {
    this.#count = count;
    this.#open = Array.from({ length: sessions }, (_, index) =>
      this.#flows.open({
        address: Uint8Array.of(127, 0, 0, 1),
        port,
        idleMs: 60_000,
        route: () => mux,
        payload: () => this.#echoed(index),
        ended: end => {
          if (end.kind !== 'closed') throw new Error(`A flow ended: ${end.kind}`);
        },
      }),
    );
  }

  async opened(): Promise<void> {
    await until(() => this.#open.every(flow => flow.isOpen));
  }

  /** Settles with the number of datagrams that were lost on the way. */
  async run(count: number): Promise<number> {
    this.#count = count;
    this.#sent = 0;
    this.#received = 0;
    let lost = 0;
    let before = -1;
    const done = new Promise<void>(resolve => {
      this.#done = resolve;
    });
    // What is lost would shrink the window for good: fill it again when nothing has come for a while.
    const refill = setInterval(() => {
      if (this.#received === before) {
        lost = this.#sent - this.#received;
        if (this.#sent >= count) this.#done();
        for (let index = 0; index < windowSize; index += 1) this.#send(index);
      }
      before = this.#received;
      if (process.env.DBG) console.log(this.#sent, this.#received, lost);
    }, 300);
    for (let index = 0; index < windowSize; index += 1) this.#send(index);
    await done;
    clearInterval(refill);
    return lost;
  }

  close(): void {
    this.#flows.close();
  }

  #echoed(index: number): void {
    this.#received += 1;
    if (this.#received >= this.#count) this.#done();
    else this.#send(index);
  }

  #send(index: number): void {
    if (this.#sent >= this.#count) return;
    this.#sent += 1;
    this.#open[index % this.#open.length]?.send(this.#payload);
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 20));
}

switch (process.argv[2]) {
  case 'origin':
    serveOrigin();
    break;
  case 'connector':
    await serveConnector(Number(process.argv[3]), process.argv[4] ?? '');
    break;
  default:
    await measure(Number(process.argv[2] ?? 100_000), Number(process.argv[3] ?? 1));
}
