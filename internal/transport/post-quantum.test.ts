// The key exchange on both transports: X25519MLKEM768 preferred by both ends, P-256 after a HelloRetryRequest, and
// post-quantum as a must. Source: docs/protocol/edge-protocol.md §5.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { connect, createServer } from 'node:tls';
import { createTestCa } from '../../test/support/test-ca.ts';
import { createUdpRelay } from '../../test/support/udp-relay.ts';
import { until } from '../../test/support/wait.ts';
import { isPosternError, PosternError } from '../errors/error.ts';
import { dialTransport } from './open/dial.ts';
import { listenTransports } from './open/listen.ts';
import { connectTls } from './tls.ts';
import type { DialOptions, EdgeConnection } from './transport.ts';

const authority = createTestCa();
const names = { http2: 'h2.cftunnel.com', quic: 'quic.cftunnel.com' } as const;
const over = new PosternError('connection.closed', 'The test is over.');

async function listener(t: TestContext) {
  const accepted: EdgeConnection[] = [];
  const listening = await listenTransports({
    host: '127.0.0.1',
    port: 0,
    certificates: await (await authority).issue(Object.values(names)),
    onConnection: connection => accepted.push(connection),
    onQuicUnavailable: error => assert.fail(error),
  });
  t.after(async () => {
    for (const connection of accepted) connection.abort(over);
    await listening.close();
  });
  return { accepted, port: listening.port };
}

async function options(protocol: 'http2' | 'quic', port: number): Promise<DialOptions> {
  const { cert } = await authority;
  return { host: '127.0.0.1', port, ca: [cert], serverName: names[protocol], timeoutMs: 10_000 };
}

/** A TLS server that knows P-256 only. */
async function oldServer(t: TestContext): Promise<number> {
  const server = createServer({ ...(await (await authority).issue([names.http2])), ecdhCurve: 'P-256' });
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', socket => socket.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

describe('post-quantum key exchange', () => {
  for (const protocol of ['http2', 'quic'] as const) {
    for (const postQuantum of [false, true]) {
      it(`is what both ends agree on over ${protocol}${postQuantum ? ' when it must be' : ''}`, async t => {
        const { port } = await listener(t);
        const connection = await dialTransport(protocol, { ...(await options(protocol, port)), postQuantum });
        assert.equal(connection.stats().group, 'X25519MLKEM768');
        connection.abort(over);
        await connection.closed;
      });
    }
  }

  it('gives way to P-256 over TLS when the edge asks for it, unless it must be', async t => {
    const port = await oldServer(t);
    // Only the first group's key share is sent: the server can only have asked for the other one.
    const { socket } = await connectTls(await options('http2', port));
    assert.deepEqual(socket.getEphemeralKeyInfo(), { type: 'ECDH', name: 'prime256v1', size: 256 });
    socket.destroy();
    const strict = connectTls({ ...(await options('http2', port)), postQuantum: true });
    await assert.rejects(strict, error => isPosternError(error, 'tls.failed'));
  });

  it('is not demanded of connectors: those with P-256 only are served', async t => {
    const { port } = await listener(t);
    const { cert } = await authority;
    const socket = connect({ host: '127.0.0.1', port, ca: [cert], servername: names.http2, ecdhCurve: 'P-256' });
    await once(socket, 'secureConnect');
    assert.deepEqual(socket.getEphemeralKeyInfo(), { type: 'ECDH', name: 'prime256v1', size: 256 });
    socket.destroy();
  });

  it('takes a ClientHello of several Initial packets, whichever comes first', async t => {
    const { port, accepted } = await listener(t);
    const initials: number[] = [];
    const relay = await createUdpRelay({
      targetPort: port,
      seed: 1,
      // Every packet late by as much or more: their order changes.
      reorderPerMille: 500,
      reorderDelayMs: 3,
      onClientPacket: packet => {
        // RFC 9000 §17.2.2: a long header of type 0.
        if (((packet[0] ?? 0) & 0xf0) === 0xc0) initials.push(packet.length);
      },
    });
    t.after(() => relay.close());
    const connection = await dialTransport('quic', await options('quic', relay.port));
    assert.equal(connection.stats().group, 'X25519MLKEM768');
    assert.ok(initials.length >= 2 && initials.every(length => length >= 1_200), String(initials));
    await until('the end of the handshake at the edge', () => accepted.length > 0);
    assert.equal(accepted[0]?.stats().group, 'X25519MLKEM768');
    connection.abort(over);
    await connection.closed;
  });
});
