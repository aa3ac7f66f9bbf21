// Handshakes, endings and addresses, both ends ours over real UDP sockets.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { openQuicEndpoints, openQuicPair, portOf, quicIdentity, quicName } from '../../test/support/quic-pair.ts';
import { createTestCa } from '../../test/support/test-ca.ts';
import { until } from '../../test/support/wait.ts';
import { isPosternError } from '../errors/error.ts';
import { spkiPin } from '../net/trust/spki-pin.ts';
import { openEndpoint } from './endpoint.ts';

const dial = (port: number, timeoutMs = 5000) => ({ address: '127.0.0.1', port, serverName: quicName, timeoutMs });

describe('quic endpoint', () => {
  it('negotiates the protocol and a post-quantum group, and tells both ends', async t => {
    const { client, server } = await openQuicPair(t);
    assert.equal(client.alpn, 'argotunnel');
    assert.equal(client.group, 'X25519MLKEM768');
    assert.equal(server.group, 'X25519MLKEM768');
    assert.equal(server.serverName, quicName);
    assert.match(server.remoteAddress, /^127\.0\.0\.1:\d+$/);
    const stats = client.stats();
    assert.ok(stats !== undefined && stats.rttMs > 0 && stats.congestionWindow > 0 && stats.sentPackets > 0);
  });

  it('tells what receive buffer the system granted', async t => {
    // More than any system's limit.
    const asked = 1_000_000_000;
    const { serverEndpoint } = await openQuicEndpoints(t, { server: { socketBuffer: asked } });
    const { askedBytes, grantedBytes } = serverEndpoint.receiveBuffer;
    assert.equal(askedBytes, asked);
    assert.ok(grantedBytes > 2_000 && grantedBytes < asked, `${grantedBytes}`);
    if (process.platform === 'linux')
      assert.equal(grantedBytes, Number(readFileSync('/proc/sys/net/core/rmem_max', 'utf8')));
    const small = await openQuicEndpoints(t, { server: { socketBuffer: 100_000 } });
    assert.deepEqual(small.serverEndpoint.receiveBuffer, { askedBytes: 100_000, grantedBytes: 100_000 });
  });

  it('follows a HelloRetryRequest to P-256, unless only post-quantum will do', async t => {
    const { ca, identity } = await quicIdentity();
    const server = openEndpoint({ bind: '127.0.0.1:0', alpn: ['a'], identity, groups: ['P-256'] }, () => undefined);
    t.after(() => server.close());
    const client = openEndpoint({ bind: '127.0.0.1:0', alpn: ['a'], roots: [ca.cert] });
    t.after(() => client.close());
    assert.equal((await client.connect(dial(portOf(server)))).group, 'secp256r1');
    const strict = openEndpoint({ bind: '127.0.0.1:0', alpn: ['a'], roots: [ca.cert], postQuantum: true });
    t.after(() => strict.close());
    await assert.rejects(strict.connect(dial(portOf(server))), error => isPosternError(error, 'tls.failed'));
  });

  it('shows a renewed certificate to new connections, keeps old ones, and refuses an unusable one', async t => {
    const { serverEndpoint, clientEndpoint, client } = await openQuicPair(t);
    const other = await createTestCa('Renewed CA');
    const renewed = await other.issue([quicName]);
    assert.throws(
      () => serverEndpoint.setIdentity({ cert: renewed.cert, key: 'no key' }),
      error => isPosternError(error, 'tls.failed'),
    );
    (await clientEndpoint.connect(dial(portOf(serverEndpoint)))).close(0, '');
    serverEndpoint.setIdentity(renewed);
    await assert.rejects(clientEndpoint.connect(dial(portOf(serverEndpoint))), error =>
      isPosternError(error, 'tls.failed'),
    );
    const newcomer = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], roots: [other.cert] });
    t.after(() => newcomer.close());
    assert.equal((await newcomer.connect(dial(portOf(serverEndpoint)))).alpn, 'argotunnel');
    await client.ping();
  });

  it('connects over IPv6 and, from a dual-stack socket, over IPv4', async t => {
    const { ca, identity } = await quicIdentity();
    const server = openEndpoint({ bind: '[::]:0', alpn: ['a'], identity }, () => undefined);
    t.after(() => server.close());
    const client = openEndpoint({ bind: '[::]:0', alpn: ['a'], roots: [ca.cert], postQuantum: true });
    t.after(() => client.close());
    const six = await client.connect({ ...dial(portOf(server)), address: '::1' });
    assert.match(six.remoteAddress, /^\[::1\]:/);
    const four = await client.connect(dial(portOf(server)));
    assert.match(four.remoteAddress, /^127\.0\.0\.1:/);
  });

  it('rejects a certificate of an unknown authority, and one for another name', async t => {
    const { serverEndpoint, clientEndpoint } = await openQuicEndpoints(t);
    const port = portOf(serverEndpoint);
    const other = await createTestCa('Other CA');
    const stranger = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], roots: [other.cert] });
    t.after(() => stranger.close());
    await assert.rejects(stranger.connect(dial(port)), error => isPosternError(error, 'tls.failed'));
    const wrongName = clientEndpoint.connect({ ...dial(port), serverName: 'elsewhere.example' });
    await assert.rejects(wrongName, error => isPosternError(error, 'tls.failed'));
  });

  it('trusts a pinned authority that the peer presents, and no other', async t => {
    const { ca } = await quicIdentity();
    const { serverEndpoint } = await openQuicEndpoints(t);
    const port = portOf(serverEndpoint);
    const pinOf = (pem: string): string => spkiPin(new X509Certificate(pem));
    const pinned = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], caPin: pinOf(ca.cert) });
    t.after(() => pinned.close());
    await pinned.connect(dial(port));
    const wrongName = pinned.connect({ ...dial(port), serverName: 'elsewhere.example' });
    await assert.rejects(wrongName, error => isPosternError(error, 'tls.failed'));
    const other = openEndpoint({
      bind: '127.0.0.1:0',
      alpn: ['argotunnel'],
      caPin: pinOf((await createTestCa()).cert),
    });
    t.after(() => other.close());
    await assert.rejects(other.connect(dial(port)), error => isPosternError(error, 'tls.failed'));
  });

  it('rejects a peer without a protocol in common', async t => {
    const { ca } = await quicIdentity();
    const { serverEndpoint } = await openQuicEndpoints(t);
    const client = openEndpoint({ bind: '127.0.0.1:0', alpn: ['h3'], roots: [ca.cert] });
    t.after(() => client.close());
    await assert.rejects(client.connect(dial(portOf(serverEndpoint))), error => isPosternError(error, 'tls.failed'));
  });

  it('gives up a dial that nobody answers, and one that is aborted', async t => {
    const silent = createSocket('udp4');
    silent.bind(0, '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => silent.close());
    const { clientEndpoint } = await openQuicEndpoints(t);
    const port = silent.address().port;
    await assert.rejects(clientEndpoint.connect(dial(port, 100)), error => isPosternError(error, 'dial.timeout'));
    const abort = new AbortController();
    const dialling = clientEndpoint.connect({ ...dial(port), signal: abort.signal });
    abort.abort();
    await assert.rejects(dialling, error => isPosternError(error, 'dial.failed'));
    const idle = openEndpoint({
      bind: '127.0.0.1:0',
      alpn: ['a'],
      roots: [(await quicIdentity()).ca.cert],
      tuning: { idleTimeoutMs: 100 },
    });
    t.after(() => idle.close());
    await assert.rejects(idle.connect(dial(port)), error => isPosternError(error, 'dial.timeout'));
  });

  it('says which address is taken', async t => {
    const { serverEndpoint } = await openQuicEndpoints(t);
    const { identity } = await quicIdentity();
    assert.throws(
      () => openEndpoint({ bind: serverEndpoint.address, alpn: ['a'], identity }),
      error => isPosternError(error, 'listen.failed') && error.message.includes(serverEndpoint.address),
    );
  });

  it('frees its port when closed', async t => {
    const { serverEndpoint } = await openQuicEndpoints(t);
    const { identity } = await quicIdentity();
    const address = serverEndpoint.address;
    await serverEndpoint.close();
    const again = openEndpoint({ bind: address, alpn: ['a'], identity });
    assert.equal(again.address, address);
    await again.close();
  });

  it('carries code and reason of a close to the peer, and fails what was open', async t => {
    const { client, server, atServer, atClient } = await openQuicPair(t);
    const open = server.openStream();
    let lost: Error | undefined;
    open.listener = {
      onReadable: () => undefined,
      onWritable: () => undefined,
      onStopped: () => undefined,
      onLost: error => {
        lost = error;
      },
    };
    client.close(77, 'enough of this');
    assert.deepEqual(await atServer.closed.promise, { kind: 'application', code: 77, reason: 'enough of this' });
    assert.deepEqual(await atClient.closed.promise, { kind: 'local', code: 77, reason: 'enough of this' });
    assert.ok(isPosternError(lost, 'connection.closed'));
    assert.throws(
      () => server.openStream(),
      error => isPosternError(error, 'connection.closed'),
    );
  });

  it('ends an idle connection, and keeps one alive that pings', async t => {
    const quiet = await openQuicPair(t, { client: { idleTimeoutMs: 150 } });
    assert.equal((await quiet.atClient.closed.promise).kind, 'idle');
    // Pings come ten times as often as they must, so that a busy machine does not look like a dead path.
    const lively = await openQuicPair(t, { client: { idleTimeoutMs: 1_000, keepAliveMs: 100 } });
    const sent = (): number => lively.client.stats()?.sentUdpDatagrams ?? 0;
    const first = sent();
    const started = performance.now();
    await until('pings for longer than the idle timeout', () => performance.now() - started > 1_500 && sent() > first);
    assert.equal(lively.client.ending, undefined);
  });

  it('retires: open connections live on, new ones are refused, the socket is freed after the last', async t => {
    const { serverEndpoint, clientEndpoint, client, server, atServer } = await openQuicPair(t);
    const { address } = serverEndpoint;
    const port = portOf(serverEndpoint);
    serverEndpoint.retire();
    await client.ping();
    await assert.rejects(clientEndpoint.connect(dial(port, 500)), error => isPosternError(error));
    assert.equal(server.ending, undefined);
    client.close(0, '');
    await atServer.closed.promise;
    const { identity } = await quicIdentity();
    for (;;) {
      try {
        await openEndpoint({ bind: address, alpn: ['a'], identity }).close();
        break;
      } catch (error) {
        if (!isPosternError(error, 'listen.failed')) throw error;
        await new Promise(resolve => setTimeout(resolve, 10));
      }
    }
  });
});
