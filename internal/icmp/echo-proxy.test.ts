import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryPlatform } from '../../test/support/echo-network.ts';
import { recordedDatagrams } from '../../test/support/recorded-datagrams.ts';
import { seededRandom } from '../../test/support/seeded-random.ts';
import { until } from '../../test/support/wait.ts';
import { formatIp, parseIp } from '../net/address/ip.ts';
import { encodeIcmpPacket, type IcmpPacketFields, IcmpPacketView, icmpType } from '../net/packet/packet-icmp.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { EchoProxy, type EchoProxyOptions, type ReplyPath } from './echo-proxy.ts';

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  assert.ok(bytes !== undefined, text);
  return bytes;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

class Path implements ReplyPath {
  open = true;
  readonly packets: string[] = [];

  sendPacket(packet: Uint8Array): boolean {
    this.packets.push(hex(packet));
    return true;
  }
}

function createRig(options: Partial<EchoProxyOptions> = {}): {
  proxy: EchoProxy;
  v4: MemoryPlatform;
  v6: MemoryPlatform;
  path: Path;
} {
  const v4 = new MemoryPlatform();
  const v6 = new MemoryPlatform();
  const proxy = new EchoProxy({
    platforms: { 4: v4, 6: v6 },
    sources: { 4: ip('0.0.0.0'), 6: ip('2001:db8::fe') },
    allowDestination: () => true,
    log: silentLogger(),
    ...options,
  });
  return { proxy, v4, v6, path: new Path() };
}

function encode(fields: Partial<IcmpPacketFields>): Uint8Array {
  const destination = fields.destination ?? ip('10.0.0.1');
  const isIpv4 = destination.length === 4;
  const out = new Uint8Array(1500);
  const length = encodeIcmpPacket(out, 0, {
    source: isIpv4 ? ip('192.0.2.7') : ip('2001:db8::7'),
    destination,
    ttl: 64,
    type: icmpType[isIpv4 ? 4 : 6].echoRequest,
    code: 0,
    identifier: 1,
    sequence: 1,
    data: new Uint8Array(0),
    ...fields,
  });
  return out.slice(0, length);
}

function decode(packet: string | undefined): IcmpPacketView {
  const view = new IcmpPacketView();
  assert.equal(view.decode(Buffer.from(packet ?? '', 'hex')), undefined);
  return view;
}

describe('echo proxy', () => {
  for (const [file, strip] of [
    ['quic-datagram-v2.json', (bytes: Uint8Array) => bytes.subarray(0, -1)],
    ['quic-datagram-v3.json', (bytes: Uint8Array) => bytes.subarray(1)],
  ] as const) {
    it(`answers the requests of ${file} with the recorded bytes`, async () => {
      const isPacket = (bytes: Uint8Array): boolean =>
        file === 'quic-datagram-v2.json' ? bytes.at(-1) === 1 : bytes[0] === 2;
      const packets = recordedDatagrams(file).filter(({ bytes }) => isPacket(bytes));
      assert.equal(packets.length, 4);
      const { proxy, path } = createRig();
      for (const [index, { from, bytes }] of packets.entries()) {
        if (from !== 'edge') continue;
        const before = path.packets.length;
        proxy.packet(strip(bytes), path);
        await until('an answer', () => path.packets.length > before);
        assert.equal(path.packets.at(-1), hex(strip(packets[index + 1]?.bytes ?? new Uint8Array(0))));
      }
      assert.equal(proxy.counters.requests, 1);
      assert.equal(proxy.counters.replies, 1);
      assert.equal(proxy.counters.timeExceeded, 1);
      proxy.close();
    });
  }

  it('answers IPv6, and quotes at most what fits in time exceeded', async () => {
    const { proxy, path } = createRig();
    proxy.packet(encode({ destination: ip('2001:db8::1'), identifier: 9, data: new Uint8Array(1232) }), path);
    await until('a reply', () => path.packets.length === 1);
    const reply = decode(path.packets[0]);
    assert.equal(reply.type, 129);
    assert.equal(reply.ttl, 255);
    assert.equal(reply.identifier, 9);
    assert.equal(reply.packet.length, 1280);
    proxy.packet(encode({ destination: ip('2001:db8::1'), ttl: 1, data: new Uint8Array(1232) }), path);
    const expired = decode(path.packets[1]);
    assert.equal(expired.type, 3);
    assert.equal(expired.packet.length, 1280);
    assert.deepEqual(expired.source, Buffer.from(ip('2001:db8::fe')));
    proxy.packet(encode({ ttl: 0, data: new Uint8Array(1200) }), path);
    assert.equal(decode(path.packets[2]).packet.length, 576);
    proxy.close();
  });

  it('gives two visitors with the same id and sequence their own replies', async () => {
    const { proxy, path, v4 } = createRig();
    for (const last of [7, 8])
      proxy.packet(encode({ source: Uint8Array.of(192, 0, 2, last), data: Uint8Array.of(last) }), path);
    await until('replies', () => path.packets.length === 2);
    for (const packet of path.packets) {
      const view = decode(packet);
      assert.equal(view.destination[3], view.data[0]);
    }
    assert.equal(v4.openFlows, 2);
    proxy.close();
    assert.equal(v4.openFlows, 0);
    assert.ok(v4.closed);
  });

  it('keeps nothing of the bytes it was given', async () => {
    const { proxy, path } = createRig();
    // A Buffer, as transports deliver: its slices are views.
    for (const packet of [encode({}), encode({ destination: ip('2001:db8::1') })].map(bytes => Buffer.from(bytes))) {
      const before = path.packets.length;
      proxy.packet(packet, path);
      packet.fill(0xee);
      await until('reply', () => path.packets.length > before);
    }
    assert.deepEqual(
      path.packets.map(packet => formatIp(decode(packet).source)),
      ['10.0.0.1', '2001:db8::1'],
    );
    proxy.close();
  });

  it('sends replies over the connection of the latest request, and drops them where it is gone', async () => {
    const { proxy, path, v4 } = createRig();
    const other = new Path();
    v4.silent = true;
    proxy.packet(encode({}), path);
    v4.silent = false;
    proxy.packet(encode({ sequence: 2 }), other);
    await until('reply', () => other.packets.length === 1);
    assert.equal(v4.openFlows, 1);
    other.open = false;
    proxy.packet(encode({ sequence: 3 }), other);
    await until('dropped', () => proxy.counters.dropped['reply-dropped'] === 1);
    assert.equal(path.packets.length, 0);
    proxy.close();
  });

  it('refuses everything but whole, plain echo requests, and counts why', () => {
    const { proxy, path, v4 } = createRig({ allowDestination: address => address[0] === 10 });
    for (const type of [0, 3, 5, 11, 13]) proxy.packet(encode({ type }), path);
    proxy.packet(encode({ code: 1 }), path);
    // An echo reply that expires gets no answer either.
    proxy.packet(encode({ type: 0, ttl: 1 }), path);
    proxy.packet(encode({ destination: ip('127.0.0.1') }), path);
    proxy.packet(encode({}).with(25, 7), path);
    proxy.packet(encode({}).subarray(0, 27), path);
    proxy.packet(new Uint8Array(0), path);
    assert.deepEqual(proxy.counters.refused, { 'icmp-checksum': 1, length: 1, empty: 1 });
    assert.equal(proxy.counters.dropped['not-echo-request'], 7);
    assert.equal(proxy.counters.dropped['destination-refused'], 1);
    assert.equal(v4.requests.length, 0);
    assert.equal(path.packets.length, 0);
    proxy.close();
  });

  it('holds at most so many flows; only quiet ones give way', () => {
    let nowMs = 0;
    const { proxy, path, v4 } = createRig({ flowLimit: 3, now: () => nowMs });
    for (let identifier = 0; identifier < 4; identifier += 1) proxy.packet(encode({ identifier }), path);
    assert.equal(proxy.activeFlows, 3);
    assert.equal(proxy.counters.dropped['flow-limit'], 1);
    nowMs = 2_000;
    proxy.packet(encode({ identifier: 0, sequence: 2 }), path);
    proxy.packet(encode({ identifier: 9 }), path);
    assert.equal(proxy.activeFlows, 3);
    assert.equal(v4.openFlows, 3);
    // Flow 1 was the quietest; flow 0 is still there.
    proxy.packet(encode({ identifier: 0, sequence: 3 }), path);
    assert.equal(v4.requests.length, 6);
    proxy.close();
  });

  it('counts a flow that the system has no room for, and a family without socket', () => {
    const { proxy, path, v4 } = createRig();
    v4.limit = 0;
    proxy.packet(encode({}), path);
    assert.equal(proxy.counters.dropped['flow-limit'], 1);
    assert.equal(proxy.activeFlows, 0);
    proxy.close();
    const only4 = createRig({ platforms: { 4: new MemoryPlatform() } });
    only4.proxy.packet(encode({ destination: ip('2001:db8::1') }), only4.path);
    assert.equal(only4.proxy.counters.dropped['no-socket'], 1);
    only4.proxy.close();
  });

  it('ends idle flows', async () => {
    const { proxy, path, v4 } = createRig({ idleMs: 20 });
    proxy.packet(encode({}), path);
    assert.equal(proxy.activeFlows, 1);
    await until('idle', () => proxy.activeFlows === 0);
    assert.equal(v4.openFlows, 0);
    proxy.close();
  });

  it('takes no harm from flipped and random packets', () => {
    const random = seededRandom(21);
    const { proxy, path } = createRig({ flowLimit: 10 });
    const base = [encode({ data: new Uint8Array(30) }), encode({ destination: ip('2001:db8::1') })];
    for (let round = 0; round < 5_000; round += 1) {
      const packet = round % 3 === 0 ? random.bytes(random.below(80)) : (base[round % 2] ?? new Uint8Array(0)).slice();
      for (let flips = random.below(3); flips > 0 && packet.length > 0; flips -= 1)
        packet[random.below(packet.length)] = random.below(256);
      proxy.packet(packet, path);
    }
    assert.ok(proxy.activeFlows <= 10);
    proxy.close();
  });
});
