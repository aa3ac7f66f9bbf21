import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode, encode, type Packet, RECURSION_DESIRED } from 'dns-packet';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import {
  answersQuestion,
  encodeFailure,
  limitUdpSize,
  questionOf,
  readId,
  readQuery,
  responseCode,
  writeId,
} from './message.ts';

const query = (fields: Partial<Packet> = {}): Buffer =>
  encode({
    type: 'query',
    id: 0x1234,
    flags: RECURSION_DESIRED,
    questions: [{ type: 'A', name: 'db.internal' }],
    ...fields,
  });
const opt = (size: number): NonNullable<Packet['additionals']>[number] => ({
  type: 'OPT',
  name: '.',
  udpPayloadSize: size,
  flags: 0,
  extendedRcode: 0,
  ednsVersion: 0,
  flag_do: false,
  options: [],
});

describe('DNS message', () => {
  it('finds question and announced size, lowers the size, and changes nothing else', () => {
    const message = query({ additionals: [opt(4096)] });
    const layout = readQuery(message) ?? assert.fail();
    limitUdpSize(message, layout, 1232);
    writeId(message, 0xbeef);
    assert.equal(readId(message), 0xbeef);
    const decoded = decode(message);
    assert.deepEqual(
      [decoded.id, decoded.questions?.[0]?.name, decoded.additionals?.[0]],
      [0xbeef, 'db.internal', { ...decode(query({ additionals: [opt(1232)] })).additionals?.[0] }],
    );
    const small = query({ additionals: [opt(512)] });
    limitUdpSize(small, layout, 1232);
    assert.deepEqual(small, query({ additionals: [opt(512)] }));
    const plain = query();
    const plainLayout = readQuery(plain) ?? assert.fail();
    assert.equal(plainLayout.udpSizeAt, 0);
    limitUdpSize(plain, plainLayout, 1232);
    assert.deepEqual(plain, query());
  });

  it('leaves the size alone that a signature covers', () => {
    // A TSIG record (type 250, class ANY, 2 bytes of data) behind the OPT record.
    const signed = Buffer.concat([
      query({ additionals: [opt(4096)] }),
      Buffer.from('0000fa00ff0000000000020000', 'hex'),
    ]);
    signed.writeUInt16BE(2, 10);
    const layout = readQuery(signed) ?? assert.fail();
    assert.equal(layout.udpSizeAt, 0);
  });

  it('recognises the answer to a question and no other', () => {
    const layout = readQuery(query()) ?? assert.fail();
    const question = questionOf(query(), layout.questionEnd);
    const respond = (fields: Partial<Packet>): Buffer => query({ type: 'response', ...fields });
    assert.ok(answersQuestion(respond({}), question));
    assert.ok(answersQuestion(respond({ questions: [{ type: 'A', name: 'DB.internal' }] }), question));
    assert.ok(!answersQuestion(query(), question));
    for (const other of [{ type: 'AAAA', name: 'db.internal' } as const, { type: 'A', name: 'dc.internal' } as const])
      assert.ok(!answersQuestion(respond({ questions: [other] }), question));
    // Without its question a response may only report an error.
    assert.ok(!answersQuestion(respond({ questions: [] }), question));
    assert.ok(answersQuestion(respond({ questions: [], flags: 1 }), question));
  });

  it('makes failures that answer the query', () => {
    const message = query({ additionals: [opt(4096)] });
    const layout = readQuery(message) ?? assert.fail();
    const failure = decode(Buffer.from(encodeFailure(message, layout, responseCode.serverFailure)));
    assert.deepEqual(
      [
        failure.id,
        failure.type,
        (failure.flags ?? 0) & 0x0f,
        failure.questions?.[0]?.name,
        failure.additionals?.length,
      ],
      [0x1234, 'response', 2, 'db.internal', 0],
    );
  });

  it('refuses what is cut, no query, or malformed, and survives everything', () => {
    const whole = query({ additionals: [opt(4096)] });
    for (let cut = 0; cut < whole.length; cut += 1)
      assert.equal(readQuery(whole.subarray(0, cut)), undefined, `${cut}`);
    assert.equal(readQuery(query({ type: 'response' })), undefined);
    assert.equal(readQuery(query({ questions: [] })), undefined);
    assert.equal(readQuery(Buffer.concat([whole.subarray(0, 12), Buffer.from([0x80, 0, 0, 1, 0, 1])])), undefined);
    const random = seededRandom(9);
    for (let round = 0; round < 5_000; round += 1) {
      const message = whole.slice();
      for (let flips = random.below(4); flips >= 0; flips -= 1)
        message[random.below(message.length)] = random.below(256);
      const layout = readQuery(message);
      if (layout === undefined) continue;
      assert.ok(layout.questionEnd <= message.length && layout.udpSizeAt < message.length - 1);
      limitUdpSize(message, layout, 1232);
    }
    // Counts that promise more records than there are cost nothing.
    const lying = query();
    lying.writeUInt16BE(0xffff, 6);
    assert.equal(readQuery(lying), undefined);
  });
});
