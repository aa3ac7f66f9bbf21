import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryIcmpSocket } from '../../test/support/echo-network.ts';
import { checksum } from '../net/packet/checksum.ts';
import { icmpType, writeIcmpMessage } from '../net/packet/packet-icmp.ts';
import type { EchoReplyHandler } from './echo-platform.ts';
import { SharedEcho } from './shared-echo.ts';

const host = Uint8Array.of(10, 0, 0, 1);
const other = Uint8Array.of(10, 0, 0, 2);

function request(sequence: number, data: Uint8Array, identifier = 0x1234): Uint8Array {
  const out = new Uint8Array(8 + data.length);
  writeIcmpMessage(out, 0, { type: icmpType[4].echoRequest, code: 0, identifier, sequence, data }, 0);
  return out;
}

const identifierOf = (message: Uint8Array | undefined): number => ((message?.[4] ?? 0) << 8) | (message?.[5] ?? 0);

/** A handler that notes replies as text. */
function noting(list: string[]): EchoReplyHandler {
  return (from, sequence, data) => list.push(`${from.join('.')} ${sequence} ${Buffer.from(data).toString()}`);
}

describe('echo over one shared socket', () => {
  it('gives flows ids of their own and maps replies back, same id and sequence at once', () => {
    const socket = new MemoryIcmpSocket(4);
    const shared = new SharedEcho('test', 4, socket, 0xffff);
    const got: [string[], string[]] = [[], []];
    const flows = got.map(list => shared.openFlow(host, noting(list)));
    flows[0]?.request(request(1, Buffer.from('a')));
    flows[1]?.request(request(1, Buffer.from('b')));
    const [first, second] = socket.sent.map(({ message }) => message);
    assert.deepEqual([identifierOf(first), identifierOf(second)], [0xffff, 0]);
    for (const { message, destination } of socket.sent) {
      assert.equal(checksum(message, 0, message.length), 0, 'the checksum follows the id');
      assert.deepEqual(destination, host);
    }
    socket.deliver(host, socket.replyTo(second ?? host));
    socket.deliver(host, socket.replyTo(first ?? host));
    assert.deepEqual(got, [['10.0.0.1 1 a'], ['10.0.0.1 1 b']]);
    shared.close();
    assert.ok(socket.closed);
  });

  it('takes replies only from the destination, and messages with an IP header before them', () => {
    const socket = new MemoryIcmpSocket(4);
    const shared = new SharedEcho('test', 4, socket, 5);
    const got: string[] = [];
    const ttls: (number | undefined)[] = [];
    const note = noting(got);
    const flow = shared.openFlow(host, (from, sequence, data, ttl) => {
      note(from, sequence, data);
      ttls.push(ttl);
    });
    flow?.request(request(1, Buffer.from('a')));
    const reply = socket.replyTo(socket.sent[0]?.message ?? host);
    socket.deliver(other, reply);
    socket.deliver(host, reply.with(8, 1));
    socket.deliver(host, reply.with(0, 8));
    socket.deliver(host, reply.subarray(0, 7));
    socket.deliver(host, new Uint8Array(0));
    socket.deliver(host, Uint8Array.of(0x4f, 1, 2, 3));
    assert.deepEqual(got, []);
    assert.equal(shared.unmatched, 6);
    socket.deliver(host, Buffer.concat([Buffer.alloc(20).fill(0x45, 0, 1).fill(57, 8, 9), reply]));
    assert.deepEqual(got, ['10.0.0.1 1 a']);
    // The host's own, which ping shows.
    assert.deepEqual(ttls, [57]);
    flow?.close();
    flow?.close();
    socket.deliver(host, reply);
    assert.equal(got.length, 1);
  });

  it('may use one id for several destinations, never twice for one, and finds freed ones again', () => {
    const socket = new MemoryIcmpSocket(4);
    const shared = new SharedEcho('test', 4, socket, 0);
    const flows = Array.from({ length: 0x1_0000 }, () => shared.openFlow(host, () => undefined));
    assert.ok(flows.every(flow => flow !== undefined));
    for (const flow of flows) flow?.request(request(0, new Uint8Array(0)));
    assert.equal(new Set(socket.sent.map(({ message }) => identifierOf(message))).size, 0x1_0000);
    assert.equal(
      shared.openFlow(host, () => undefined),
      undefined,
    );
    const elsewhere = shared.openFlow(other, () => undefined);
    assert.ok(elsewhere !== undefined);
    flows[777]?.close();
    const again = shared.openFlow(host, () => undefined);
    again?.request(request(0, new Uint8Array(0)));
    assert.equal(identifierOf(socket.sent.at(-1)?.message), 777);
  });

  it('leaves the checksum of IPv6 to the system', () => {
    const socket = new MemoryIcmpSocket(6);
    const shared = new SharedEcho('test', 6, socket, 3);
    const destination = new Uint8Array(16).fill(1);
    const got: string[] = [];
    const flow = shared.openFlow(destination, (_from, sequence) => got.push(`${sequence}`));
    const message = new Uint8Array(8);
    writeIcmpMessage(message, 0, { type: 128, code: 0, identifier: 7, sequence: 44, data: new Uint8Array(0) }, 0);
    flow?.request(message);
    assert.equal(identifierOf(socket.sent[0]?.message), 3);
    socket.deliver(destination, socket.replyTo(socket.sent[0]?.message ?? message).with(2, 0));
    assert.deepEqual(got, ['44']);
  });
});
