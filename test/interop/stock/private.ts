// Private networks behind the connector: TCP and UDP by the edge's SOCKS5, echoes by `postern ping`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { SocksClient } from 'socks';
import { createNamespaces } from '../../support/namespaces.ts';
import { listen } from '../../support/origin-server.ts';
import { openSocksUdp } from '../../support/socks-udp.ts';
import { openUdpEcho } from '../../support/udp-echo.ts';
import { until, within } from '../../support/wait.ts';
import { big } from '../visited-origin.ts';
import { Lab } from './lab.ts';
import { NotOffered, type Scenario, type Stage } from './scenario.ts';

type Protocol = 'http2' | 'quic';

const loopback = '127.0.0.1';

export const privateScenarios: readonly Scenario[] = [
  ...(['http2', 'quic'] as const).flatMap(protocol => [
    { name: `TCP over ${protocol}`, run: (stage: Stage) => carryTcp(stage, protocol) },
    { name: `TCP over ${protocol}, the visitor ends first`, run: (stage: Stage) => endFirst(stage, protocol) },
  ]),
  { name: 'UDP over quic', run: carryUdp },
  { name: 'ICMP over quic', run: carryEchoes },
];

/** An edge whose private network is this machine's loopback, by way of the tried connector. */
async function openLoopback(stage: Stage, protocol: Protocol): Promise<Lab> {
  const lab = await Lab.open(stage);
  const { token } = await lab.makeTunnel('private');
  await lab.operator('tunnel', 'route', 'ip', 'add', '127.0.0.0/8', 'private');
  // Only our program keeps private traffic from loopback addresses.
  const runFlags = stage.program.isStock ? [] : ['--allow-destination', '127.0.0.0/8'];
  await lab.run({ protocol, token, runFlags });
  return lab;
}

async function openFlow(stage: Stage, lab: Lab, port: number): Promise<Socket> {
  const { socket } = await SocksClient.createConnection({
    proxy: { host: loopback, port: lab.ports.socks, type: 5 },
    command: 'connect',
    destination: { host: loopback, port },
    timeout: 10_000,
  });
  socket.on('error', () => undefined);
  stage.after(() => socket.destroy());
  return socket;
}

/** An echo that ends when its client has ended and has got everything. */
function openEcho(stage: Stage): Promise<number> {
  return listen(
    stage,
    createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)),
  );
}

/** Sends 1 MiB on each of several flows at once, and reads it back. */
async function carryTcp(stage: Stage, protocol: Protocol): Promise<void> {
  const lab = await openLoopback(stage, protocol);
  const port = await openEcho(stage);
  const talk = async (): Promise<void> => {
    const socket = await openFlow(stage, lab, port);
    const echoed = receive(socket, big.length);
    socket.write(big);
    assert.ok((await within('an echo', echoed)).equals(big), '1 MiB came back otherwise than it was sent');
  };
  await Promise.all(Array.from({ length: 8 }, talk));
}

/** As `carryTcp`, but the visitor ends its direction behind what it sends: no byte of the echo may be lost by that. */
async function endFirst(stage: Stage, protocol: Protocol): Promise<void> {
  const lab = await openLoopback(stage, protocol);
  const port = await openEcho(stage);
  for (let count = 0; count < 4; count += 1) {
    const socket = await openFlow(stage, lab, port);
    const closed = once(socket, 'close');
    const received = receive(socket, Number.POSITIVE_INFINITY);
    socket.end(big);
    await within('the end of a flow', closed);
    const { length } = await received;
    assert.equal(length, big.length, `${big.length - length} bytes of the echo were lost`);
  }
}

/** The first `wanted` bytes, or fewer if the socket ends before. */
async function receive(socket: Socket, wanted: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= wanted) resolve();
  });
  socket.once('close', resolve);
  await promise;
  return Buffer.concat(chunks);
}

async function carryUdp(stage: Stage): Promise<void> {
  const lab = await openLoopback(stage, 'quic');
  const echo = await openUdpEcho();
  stage.after(() => echo.close());
  const proxy = { host: loopback, port: lab.ports.socks };
  const udp = await openSocksUdp(stage, proxy, { address: loopback, port: echo.port });
  for (const bytes of [0, 1, 1_000, 1_200]) {
    const payload = big.subarray(0, bytes);
    const before = udp.received.length;
    udp.send(payload);
    await until(`the echo of ${bytes} bytes`, () => udp.received.length > before);
    assert.ok(udp.received.at(-1)?.equals(payload), `${bytes} bytes came back otherwise than they were sent`);
  }
}

async function carryEchoes(stage: Stage): Promise<void> {
  const namespaces = createNamespaces();
  if ('lacking' in namespaces) throw new NotOffered(`this machine lacks ${namespaces.lacking}`);
  stage.after(() => namespaces.remove());
  namespaces.setPingGroupRange('0 0');
  const lab = await Lab.open(stage, { prefix: ['ip', 'netns', 'exec', namespaces.connector] });
  const { token } = await lab.makeTunnel('private');
  for (const network of ['10.77.1.0/24', 'fd77:1::/64'])
    await lab.operator('tunnel', 'route', 'ip', 'add', network, 'private');
  const sources = ['--icmpv4-src', '10.77.1.1', '--icmpv6-src', 'fd77:1::1'];
  await lab.run({ protocol: 'quic', token, runFlags: sources });
  for (const address of ['10.77.1.2', 'fd77:1::2']) {
    const printed = await lab.operator('ping', '--count', '3', '--interval', '0.2', address);
    assert.match(printed, /\b3 packets? transmitted, 3 (?:packets )?received/, printed);
  }
}
