// The name server of `_acme-challenge`, message by message: what it answers, and that nothing else gets anything out of it.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode, encode, type RecordType } from 'dns-packet';
import { ChallengeDns, maxQueryBytes } from './challenge-dns.ts';

const zone = '_acme-challenge.example.com';

function open() {
  const dns = new ChallengeDns('example.com', 'edge.example.com');
  const ask = (name: string, type: RecordType, extra: Parameters<typeof encode>[0] = {}) => {
    const query = encode({ type: 'query', id: 7, questions: [{ type, name }], ...extra });
    const answer = dns.answer(query);
    assert.ok(answer !== undefined);
    const { id, flags = 0, answers, authorities, questions } = decode(answer);
    assert.equal(id, 7);
    return {
      code: flags & 15,
      answers: answers ?? [],
      authorities: authorities ?? [],
      questions,
      bytes: answer.length,
    };
  };
  return { dns, ask };
}

describe('the name server of _acme-challenge', () => {
  it('answers with what is to be proven, in any letter case, until that is over', async () => {
    const { ask, dns } = open();
    {
      await using _first = await dns.present('example.com', 'a', 'a.thumb');
      await using _second = await dns.present('example.com', 'b', 'b.thumb');
      const { answers, code, questions } = ask('_ACME-challenge.Example.com', 'TXT');
      assert.deepEqual([code, answers.length, questions?.[0]?.name], [0, 2, '_ACME-challenge.Example.com']);
    }
    const { answers, authorities, code } = ask(zone, 'TXT');
    assert.deepEqual([code, answers.length, authorities[0]?.type], [0, 0, 'SOA']);
  });

  it('is a zone: it has a start and a name server, nothing below, and knows no other', () => {
    const { ask } = open();
    assert.equal(ask(zone, 'SOA').answers[0]?.type, 'SOA');
    const [server] = ask(zone, 'NS').answers;
    assert.equal(server?.type === 'NS' && server.data, 'edge.example.com');
    assert.deepEqual([ask(zone, 'A').code, ask(zone, 'A').answers.length], [0, 0]);
    assert.equal(ask(`x.${zone}`, 'TXT').code, 3);
    for (const name of ['example.com', `x${zone}`, '_acme-challenge.example.org', 'com', '.'])
      assert.equal(ask(name, 'TXT').code, 5);
  });

  it('gives a forger who asks in another’s name little more than was sent', async () => {
    const { ask, dns } = open();
    await using opened = new AsyncDisposableStack();
    for (let count = 0; dns.canSolve('example.com'); count += 1)
      opened.use(await dns.present('example.com', `t${count}`, `t${count}.thumb`));
    assert.ok(ask(zone, 'TXT').bytes < 1_232);
    assert.ok(ask('example.org', 'ANY' as RecordType).bytes < 100);
  });

  it('says nothing to what is no query, whole or damaged', () => {
    const { dns } = open();
    const query = encode({ type: 'query', id: 7, questions: [{ type: 'TXT', name: zone }] });
    for (let length = 0; length < query.length; length += 1) dns.answer(query.subarray(0, length));
    for (let at = 0; at < query.length; at += 1) {
      const damaged = Buffer.from(query);
      damaged[at] = 0xff;
      dns.answer(damaged);
    }
    assert.equal(dns.answer(Buffer.alloc(maxQueryBytes + 1)), undefined);
    assert.equal(dns.answer(Buffer.alloc(3)), undefined);
    assert.equal(dns.answer(encode({ type: 'response', id: 7, questions: [{ type: 'TXT', name: zone }] })), undefined);
    const two = { type: 'TXT', name: zone } as const;
    assert.equal(dns.answer(encode({ type: 'query', id: 7, questions: [two, two] })), undefined);
  });
});
