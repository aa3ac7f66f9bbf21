// Our QUIC engine against aioquic, an independent implementation, in both roles: streams both ways, half-close, reset
// and stop codes, datagrams, close reasons.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { QuicConnection } from '../../internal/quic/connection.ts';
import type { QuicDuplex } from '../../internal/quic/duplex.ts';
import { openEndpoint } from '../../internal/quic/endpoint.ts';
import { Collector, duplexOf, Later, portOf, quicIdentity, quicName, readAll } from '../support/quic-pair.ts';
import { type AioquicPeer, startAioquic } from './aioquic.ts';

interface Meeting {
  readonly ours: QuicConnection;
  readonly atOurs: Collector;
  readonly theirs: AioquicPeer;
}

/** PEM files, removed with the test. */
function writePem(test: TestContext, texts: Readonly<Record<string, string>>): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-interop-'));
  test.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  return name => join(folder, name);
}

async function weAccept(test: TestContext, retryThreshold = 64): Promise<Meeting> {
  const { ca, identity } = await quicIdentity();
  const accepted = new Later<QuicConnection>();
  const tuning = { retryThreshold };
  const endpoint = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], identity, tuning }, accepted.resolve);
  test.after(() => endpoint.close());
  const file = writePem(test, { 'ca.pem': ca.cert });
  const theirs = await startAioquic(test, ['client', String(portOf(endpoint)), file('ca.pem'), quicName]);
  const ours = await accepted.promise;
  const atOurs = new Collector();
  ours.serve(atOurs);
  return { ours, atOurs, theirs };
}

async function weDial(test: TestContext): Promise<Meeting> {
  const { ca, identity } = await quicIdentity();
  const file = writePem(test, { 'cert.pem': identity.cert, 'key.pem': identity.key });
  const theirs = await startAioquic(test, ['server', file('cert.pem'), file('key.pem')]);
  const { port = 0 } = await theirs.next('listening');
  const endpoint = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], roots: [ca.cert] });
  test.after(() => endpoint.close());
  const ours = await endpoint.connect({ address: '127.0.0.1', port, serverName: quicName, timeoutMs: 10_000 });
  const atOurs = new Collector();
  ours.serve(atOurs);
  return { ours, atOurs, theirs };
}

/** events.once would reject at the 'error' that comes first. */
function closed(stream: QuicDuplex): Promise<void> {
  return new Promise(resolve => stream.once('close', resolve));
}

for (const [role, meet] of [
  ['server', weAccept],
  ['client', weDial],
] as const) {
  describe(`interop with aioquic, we are the ${role}`, () => {
    it('agrees on the protocol, and on a group that both have', async t => {
      const { ours, theirs } = await meet(t);
      assert.equal((await theirs.next('connected')).alpn, 'argotunnel');
      assert.equal(ours.alpn, 'argotunnel');
      // aioquic has no ML-KEM.
      assert.ok(ours.group === 'secp256r1' || ours.group === 'X25519', ours.group);
    });

    it('carries a stream opened by us, with answer and FINs', async t => {
      const { ours, theirs } = await meet(t);
      const stream = duplexOf(ours);
      const body = Buffer.alloc(200_000, 5);
      stream.end(body);
      const id = stream.stream.id;
      assert.ok(body.equals(await theirs.readAll(id)));
      theirs.tell({ op: 'write', stream: id, data: Buffer.from('answer').toString('hex'), fin: true });
      assert.equal((await readAll(stream)).toString(), 'answer');
    });

    it('carries a stream opened by the peer, with answer and FINs', async t => {
      const { atOurs, theirs } = await meet(t);
      await theirs.next('connected');
      const body = Buffer.alloc(100_000, 6);
      theirs.tell({ op: 'open', data: body.toString('hex'), fin: true });
      const stream = await atOurs.nextDuplex();
      assert.ok(body.equals(await readAll(stream)));
      stream.end('answer');
      assert.equal((await theirs.readAll(stream.stream.id)).toString(), 'answer');
    });

    it('carries reset and stop codes both ways', async t => {
      const { ours, atOurs, theirs } = await meet(t);
      await theirs.next('connected');
      const near = duplexOf(ours);
      near.write('x');
      const id = near.stream.id;
      await theirs.next('data', id);
      theirs.tell({ op: 'stop', stream: id, code: 41 });
      await closed(near);
      assert.equal(near.stream.stopCode, 41);
      // STOP_SENDING is answered with RESET_STREAM of the same code.
      assert.equal((await theirs.next('reset', id)).code, 41);

      theirs.tell({ op: 'open', data: '00' });
      const far = await atOurs.next();
      far.read();
      far.stop(42);
      assert.equal((await theirs.next('stop', far.id)).code, 42);

      theirs.tell({ op: 'open', data: '00' });
      const reset = await atOurs.nextDuplex();
      reset.resume();
      theirs.tell({ op: 'reset', stream: reset.stream.id, code: 43 });
      await closed(reset);
      assert.equal(reset.stream.resetCode, 43);

      const aborted = duplexOf(ours);
      aborted.write('x');
      await theirs.next('data', aborted.stream.id);
      aborted.abort(44);
      assert.equal((await theirs.next('reset', aborted.stream.id)).code, 44);
    });

    it('carries datagrams both ways', async t => {
      const { ours, atOurs, theirs } = await meet(t);
      await theirs.next('connected');
      const received = new Later<string>();
      atOurs.datagram = datagram => received.resolve(Buffer.from(datagram).toString('hex'));
      theirs.tell({ op: 'datagram', data: 'c0ffee' });
      assert.equal(await received.promise, 'c0ffee');
      assert.equal(ours.sendDatagram(Buffer.alloc(1000, 9)), 'queued');
      assert.equal((await theirs.next('datagram')).data, Buffer.alloc(1000, 9).toString('hex'));
    });

    it('tells the peer why it closes, and hears why the peer does', async t => {
      const first = await meet(t);
      await first.theirs.next('connected');
      first.ours.close(7, 'so long');
      const closed = await first.theirs.next('closed');
      assert.deepEqual([closed.code, closed.reason], [7, 'so long']);
      const second = await meet(t);
      await second.theirs.next('connected');
      second.theirs.tell({ op: 'close', code: 8, reason: 'and thanks' });
      assert.deepEqual(await second.atOurs.closed.promise, { kind: 'application', code: 8, reason: 'and thanks' });
    });
  });
}

describe('interop with aioquic, Retry', () => {
  it('is followed by the peer', async t => {
    const { ours, theirs } = await weAccept(t, 0);
    await theirs.next('connected');
    theirs.tell({ op: 'ping' });
    await theirs.next('pong');
    assert.equal(ours.ending, undefined);
  });
});
