// Fuzzes the packet entry of the QUIC engine: node test/fuzz/quic-packets.ts [rounds] [seed]. A round is 200 crafted packets
// and one connection; a hundred take some 15 s. quic-packets.test.ts runs a few as a part of the suite.
// Three sources, all seeded: noise; correctly protected Initial packets with random and broken frames; and real
// connections whose packets are flipped, cut, repeated and mixed on their way, in both directions. The server must go
// on serving; a panic ends the endpoint and shows as a failed dial.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { QuicConnection } from '../../internal/quic/connection.ts';
import { QuicDuplex } from '../../internal/quic/duplex.ts';
import { openEndpoint } from '../../internal/quic/endpoint.ts';
import { clientInitial, varint } from '../support/quic-initial.ts';
import { quicIdentity, quicName } from '../support/quic-pair.ts';
import { type SeededRandom, seededRandom } from '../support/seeded-random.ts';

const rounds = Number(process.argv[2] ?? 100);
const seed = Number(process.argv[3] ?? 1);
const random = seededRandom(seed);
const counts = { noise: 0, initials: 0, passed: 0, broken: 0, connections: 0, failed: 0 };

const { ca, identity } = await quicIdentity();
const serve = (connection: QuicConnection): void => {
  connection.serve({
    onStream: stream => {
      const duplex = new QuicDuplex(stream, { onStop: 'reset' });
      duplex.on('error', () => undefined);
      duplex.pipe(duplex);
    },
    onDatagram: datagram => void connection.sendDatagram(datagram),
    onClosed: () => undefined,
  });
};
const tuning = { idleTimeoutMs: 1000, retryThreshold: 32, maxHandshakesPerAddress: 1000 };
const server = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], identity, tuning }, serve);
const serverPort = Number(server.address.split(':')[1]);
const client = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], roots: [ca.cert], tuning });

async function openSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** Frames: types that exist and ones that do not, with plausible and absurd numbers. */
function frames(from: SeededRandom): Buffer {
  const parts: Buffer[] = [];
  for (let count = 1 + from.below(6); count > 0; count -= 1) {
    const type = from.below(4) === 0 ? from.below(256) : [0, 1, 2, 3, 6, 6, 6, 0x1c][from.below(8)];
    parts.push(varint(type ?? 0));
    if (type === 6) {
      const body = from.bytes(from.below(300));
      const shown = from.below(5) === 0 ? from.below(1 << 14) : body.length;
      // A ClientHello's first bytes, so that TLS looks at it.
      if (body.length > 4 && from.below(2) === 0) body.set([1, 0, 0, from.below(256)]);
      parts.push(varint(from.below(3) === 0 ? from.below(1 << 20) : 0), varint(shown), Buffer.from(body));
    } else
      for (let fields = from.below(6); fields > 0; fields -= 1)
        parts.push(varint(from.below(1 << (1 + from.below(28)))));
  }
  return Buffer.concat(parts).subarray(0, 1300);
}

function mutate(bytes: Buffer, other: Buffer): Buffer {
  const out = Buffer.from(bytes);
  const kind = random.below(5);
  if (kind === 0) return out.subarray(0, random.below(out.length + 1));
  if (kind === 1) return Buffer.concat([out, other.subarray(0, random.below(other.length + 1))]);
  const reach = kind === 2 ? Math.min(40, out.length) : out.length;
  for (let flips = 1 + random.below(6); flips > 0 && reach > 0; flips -= 1) {
    const at = random.below(reach);
    out[at] = kind === 3 ? random.below(256) : (out[at] ?? 0) ^ (1 << random.below(8));
  }
  return out;
}

/** Between client and server: most packets pass, some are broken. */
const front = await openSocket();
const back = await openSocket();
let peer: RemoteInfo | undefined;
let last = Buffer.alloc(0);
let brokenPerMille = 0;
const meddle = (bytes: Buffer, send: (bytes: Buffer) => void): void => {
  counts.passed += 1;
  if (random.below(1000) < brokenPerMille) {
    counts.broken += 1;
    send(mutate(bytes, last));
    if (random.below(2) === 0) send(bytes);
  } else send(bytes);
  last = Buffer.from(bytes);
};
front.on('message', (bytes, from) => {
  peer = from;
  meddle(bytes, out => back.send(out, serverPort, '127.0.0.1'));
});
back.on('message', bytes =>
  meddle(bytes, out => {
    if (peer !== undefined) front.send(out, peer.port, peer.address);
  }),
);

const stranger = await openSocket();
const connect = (port: number, timeoutMs: number): Promise<QuicConnection> =>
  client.connect({ address: '127.0.0.1', port, serverName: quicName, timeoutMs });

async function oneConnection(): Promise<void> {
  brokenPerMille = random.below(400);
  counts.connections += 1;
  try {
    const connection = await connect(front.address().port, 300);
    serve(connection);
    const bodies = Array.from({ length: 4 }, () => {
      const stream = new QuicDuplex(connection.openStream(), { onStop: 'reset' });
      stream.on('error', () => undefined);
      stream.resume();
      stream.end(Buffer.from(random.bytes(random.below(20_000))));
      connection.sendDatagram(random.bytes(random.below(1000)));
      return new Promise(resolve => stream.once('close', resolve));
    });
    const late = new Promise(resolve => setTimeout(resolve, 300));
    await Promise.race([Promise.all(bodies), late]);
    connection.close(random.below(100), 'next');
  } catch {
    // Broken packets may well end a dial; whether the server lives is asked below.
    counts.failed += 1;
  }
}

const destinationIds = Array.from({ length: 64 }, () => Buffer.from(random.bytes(8 + random.below(13))));
for (let round = 0; round < rounds; round += 1) {
  for (let packets = 0; packets < 200; packets += 1) {
    const noise = random.below(3) === 0;
    counts.noise += noise ? 1 : 0;
    counts.initials += noise ? 0 : 1;
    const packet = noise
      ? Buffer.from(random.bytes(random.below(1500)))
      : clientInitial({
          destinationId: destinationIds[random.below(64)] ?? Buffer.alloc(8),
          sourceId: Buffer.from(random.bytes(random.below(21))),
          token: Buffer.from(random.bytes(random.below(4) === 0 ? random.below(100) : 0)),
          packetNumber: random.below(20),
          payload: frames(random),
        });
    stranger.send(random.below(8) === 0 ? mutate(packet, last) : packet, serverPort, '127.0.0.1');
  }
  await oneConnection();
  if (round % 20 === 19 || round === rounds - 1) {
    brokenPerMille = 0;
    const alive = await connect(serverPort, 60_000);
    await alive.ping();
    alive.close(0, '');
  }
}
console.log(`seed ${seed}: ${JSON.stringify(counts)}; server: ${JSON.stringify(server.stats())}`);
await Promise.all([server.close(), client.close()]);
for (const socket of [front, back, stranger]) socket.close();
