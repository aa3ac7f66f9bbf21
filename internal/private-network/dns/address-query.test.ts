import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Answer, decode, encode } from 'dns-packet';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import { formatIp } from '../../net/address/ip.ts';
import { addressTypes, decodeAddressAnswer, encodeAddressQuery } from './address-query.ts';

const name = 'db.internal';
const respond = (answers: Answer[], code = 0): Buffer =>
  encode({ type: 'response', flags: code, questions: [{ type: 'A', name }], answers });
const a = (owner: string, data: string, ttl = 60): Answer => ({ type: 'A', name: owner, ttl, data });
const alias = (owner: string, data: string, ttl = 60): Answer => ({ type: 'CNAME', name: owner, ttl, data });
const read = (message: Uint8Array) => {
  const answer = decodeAddressAnswer(message, name, 'A');
  return answer && { addresses: answer.addresses.map(formatIp), ttlSeconds: answer.ttlSeconds };
};

describe('queries for addresses', () => {
  it('are those that resolvers know', () => {
    for (const type of addressTypes) {
      const { questions, flags } = decode(encodeAddressQuery(name, type));
      assert.deepEqual([questions, flags], [[{ name, type, class: 'IN' }], 0x100]);
    }
  });

  it('have answers: addresses, aliases in any order, the least TTL', () => {
    assert.deepEqual(read(respond([a(name, '10.0.0.1', 60), a('DB.internal', '10.0.0.2', 30)])), {
      addresses: ['10.0.0.1', '10.0.0.2'],
      ttlSeconds: 30,
    });
    const aliased = [a('c.internal', '10.0.0.3'), alias('b.internal', 'c.internal', 5), alias(name, 'b.internal')];
    assert.deepEqual(read(respond(aliased)), { addresses: ['10.0.0.3'], ttlSeconds: 5 });
    const six = encode({
      type: 'response',
      questions: [{ type: 'AAAA', name }],
      answers: [{ type: 'AAAA', name, ttl: 9, data: 'fd00::1' }],
    });
    assert.deepEqual(decodeAddressAnswer(six, name, 'AAAA')?.addresses.map(formatIp), ['fd00::1']);
  });

  it('take no address of another name, nor follow aliases in circles', () => {
    const none = { addresses: [], ttlSeconds: 0 };
    assert.deepEqual(read(respond([a('other.internal', '6.6.6.6')])), none);
    assert.deepEqual(read(respond([alias(name, 'x.internal'), alias('x.internal', name)])), none);
    assert.deepEqual(read(respond([])), none);
    assert.deepEqual(read(respond([], 3)), none);
    for (const code of [1, 2, 5]) assert.equal(read(respond([a(name, '10.0.0.1')], code)), undefined);
    // A TTL with its highest bit set counts as 0.
    const odd = respond([a(name, '10.0.0.1', 1)]);
    odd.writeUInt32BE(0x8000_0001, odd.length - 10);
    assert.deepEqual(read(odd), { addresses: ['10.0.0.1'], ttlSeconds: 0 });
  });

  it('survive every cut, every flipped byte and pointers into themselves', () => {
    const whole = respond([alias(name, 'b.internal'), a('b.internal', '10.0.0.1'), a('b.internal', '10.0.0.2')]);
    for (let cut = 0; cut < whole.length; cut += 1) assert.equal(read(whole.subarray(0, cut)), undefined, `${cut}`);
    const random = seededRandom(11);
    for (let round = 0; round < 5_000; round += 1) {
      const message = whole.slice();
      for (let flips = random.below(4); flips >= 0; flips -= 1)
        message[random.below(message.length)] = random.below(256);
      for (const address of decodeAddressAnswer(message, name, 'A')?.addresses ?? []) assert.equal(address.length, 4);
    }
    const loop = respond([a(name, '10.0.0.1')]);
    // The first answer's name points to itself.
    loop.writeUInt16BE(0xc000 | 29, 29);
    assert.equal(read(loop), undefined);
  });
});
