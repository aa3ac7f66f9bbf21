import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createDatagramPair } from '../../../test/support/datagram-pair.ts';
import { parseIp } from '../../net/address/ip.ts';
import { encodeIcmpPacket, IcmpPacketView, icmpType } from '../../net/packet/packet-icmp.ts';
import { EdgeEcho } from './edge-echo.ts';
import { EdgeMuxV3 } from './edge-v3.ts';

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  assert.ok(bytes !== undefined, text);
  return bytes;
}

const sources = { 4: ip('100.64.0.1'), 6: ip('fd00::1') };
const router = { 4: ip('10.0.0.254'), 6: ip('2001:db8::fe') };

/** A connector that answers requests: time exceeded at TTL 1, silence for sequence 99, else a reply. */
function openLink(echo: EdgeEcho): EdgeMuxV3 {
  const { connector, edge } = createDatagramPair();
  const view = new IcmpPacketView();
  connector.receive(datagram => {
    assert.equal(view.decode(datagram.subarray(1)), undefined);
    if (view.sequence === 99) return;
    const types = icmpType[view.family];
    const out = new Uint8Array(1400).fill(2, 0, 1);
    const expired = view.ttl === 1;
    const length = encodeIcmpPacket(out, 1, {
      source: expired ? router[view.family] : view.destination,
      destination: view.source,
      ttl: 255,
      type: expired ? types.timeExceeded : types.echoReply,
      code: 0,
      identifier: expired ? 0 : view.identifier,
      sequence: expired ? 0 : view.sequence,
      data: expired ? view.packet.subarray(0, 60) : view.data,
    });
    connector.send(out.subarray(0, 1 + length));
  });
  const mux = new EdgeMuxV3(edge, 0);
  mux.onPacket(echo);
  return mux;
}

const request = { ttl: 64, sequence: 1, data: new Uint8Array(56), timeoutMs: 5_000 };

describe('echo requests from the edge', () => {
  for (const destination of ['10.1.2.3', '2001:db8::3'].map(ip)) {
    const family = destination.length === 4 ? 4 : 6;
    it(`get replies and time exceeded over IPv${family}`, async () => {
      const echo = new EdgeEcho(sources);
      const mux = openLink(echo);
      const client = echo.createClient();
      const reply = await client.probe(mux, { ...request, destination });
      assert.equal(reply.kind, 'reply');
      if (reply.kind === 'reply') {
        assert.deepEqual(reply.from, destination);
        assert.equal(reply.bytes, 64);
        assert.equal(reply.ttl, 255);
        assert.ok(reply.rttMs >= 0 && reply.rttMs < 5_000);
      }
      const hop = await client.probe(mux, { ...request, destination, ttl: 1 });
      assert.equal(hop.kind, 'time-exceeded');
      if (hop.kind === 'time-exceeded') assert.deepEqual(hop.from, router[family]);
      client.close();
      mux.close();
    });
  }

  it('time out without an answer, and fail at once when nothing can be sent', async () => {
    const echo = new EdgeEcho(sources);
    const mux = openLink(echo);
    const client = echo.createClient();
    const destination = ip('10.1.2.3');
    const silent = await client.probe(mux, { ...request, destination, sequence: 99, timeoutMs: 30 });
    assert.deepEqual(silent, { kind: 'timeout' });
    mux.close();
    assert.deepEqual(await client.probe(mux, { ...request, destination }), { kind: 'unsent' });
    client.close();
  });

  it('keep clients apart who use the same sequence at once', async () => {
    const echo = new EdgeEcho(sources);
    const mux = openLink(echo);
    const clients = Array.from({ length: 50 }, () => echo.createClient());
    assert.equal(new Set(clients.map(client => client.identifier)).size, 50);
    const results = await Promise.all(
      clients.map((client, index) => client.probe(mux, { ...request, destination: ip(`10.1.2.${index}`) })),
    );
    for (const [index, result] of results.entries()) {
      assert.equal(result.kind, 'reply');
      if (result.kind === 'reply') assert.deepEqual(result.from, ip(`10.1.2.${index}`));
    }
    mux.close();
  });

  it('take no reply from another connection or another address', async () => {
    const echo = new EdgeEcho(sources);
    const mux = openLink(echo);
    const stranger = openLink(echo);
    const client = echo.createClient();
    const destination = ip('10.1.2.3');
    const waiting = client.probe(mux, { ...request, destination, sequence: 99, timeoutMs: 50 });
    const packet = new Uint8Array(100);
    const fields = { destination: sources[4], ttl: 9, type: 0, code: 0, identifier: client.identifier, sequence: 99 };
    const spoof = (source: Uint8Array): Uint8Array =>
      packet.slice(0, encodeIcmpPacket(packet, 0, { ...fields, source, data: new Uint8Array(4) }));
    echo.packet(spoof(destination), stranger);
    echo.packet(spoof(ip('10.1.2.4')), mux);
    echo.packet(spoof(destination).with(3, 0), mux);
    assert.deepEqual(await waiting, { kind: 'timeout' });
    assert.equal(echo.counters.unmatched, 2);
    assert.deepEqual(echo.counters.refused, { length: 1 });
    mux.close();
    stranger.close();
  });
});
