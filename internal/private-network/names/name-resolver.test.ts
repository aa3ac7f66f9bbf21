// The cache and the limits of names, with a resolver of memory at the flow's seam.

import assert from 'node:assert/strict';
import { type Duplex, duplexPair } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { type Answer, decode, encode } from 'dns-packet';
import { until } from '../../../test/support/wait.ts';
import { isPosternError, PosternError } from '../../errors/error.ts';
import { formatIp } from '../../net/address/ip.ts';
import type { UdpFlowEvents } from '../flows/udp-flow.ts';
import { NameResolver, type NameSource } from './name-resolver.ts';

/** A resolver behind a flow: answers from a table, unless it is silent. */
class MemoryResolver implements NameSource {
  readonly key: string;
  readonly title = 'The resolver';
  readonly records = new Map<string, Answer[]>();
  readonly asked: string[] = [];
  readonly flows = new Set<UdpFlowEvents>();
  /** Queries that are lost before one is answered. */
  lose = 0;
  isSilent = false;
  isDenied = false;

  constructor(key = 'net resolver') {
    this.key = key;
  }

  readonly open: NameSource['open'] = (_idleMs, events) => {
    if (this.isDenied) throw new PosternError('flow.denied', 'no route');
    this.flows.add(events);
    const end = (kind: 'closed' | 'idle'): void => {
      if (this.flows.delete(events)) events.ended({ kind });
    };
    return {
      address: undefined,
      send: payload => {
        const query = decode(Buffer.from(payload));
        const [question] = query.questions ?? [];
        const key = `${question?.type} ${question?.name}`;
        this.asked.push(key);
        this.lose -= 1;
        if (this.isSilent || this.lose >= 0) return true;
        const answers = this.records.get(key) ?? [];
        const answer = encode({ type: 'response', id: query.id, questions: query.questions, answers });
        setImmediate(() => {
          if (this.flows.has(events)) events.payload(answer);
        });
        return true;
      },
      close: () => end('closed'),
    };
  };
}

function record(name: string, data: string, ttl: number): Answer {
  return { type: data.includes(':') ? 'AAAA' : 'A', name, ttl, data };
}

describe('name resolver', () => {
  const open = (t: TestContext, waitsMs: readonly number[] = [20, 20]) => {
    let nowMs = 1_000;
    const names = new NameResolver({ now: () => nowMs, waitsMs });
    t.after(() => {
      names.close();
      assert.equal(names.pending, 0);
    });
    return {
      names,
      pass: (ms: number): void => {
        nowMs += ms;
      },
    };
  };
  const resolve = async (names: NameResolver, source: NameSource, name: string): Promise<string[]> =>
    (await names.resolve(source, name)).map(formatIp);
  const unreachable = (error: unknown): boolean => isPosternError(error, 'origin.unreachable');

  it('gives both families, IPv4 first, and asks again when the TTL is over', async t => {
    const { names, pass } = open(t);
    const source = new MemoryResolver();
    source.records.set('A db.internal', [record('db.internal', '10.0.0.1', 10)]);
    source.records.set('AAAA db.internal', [record('db.internal', 'fd00::1', 20)]);
    const expected = ['10.0.0.1', 'fd00::1'];
    assert.deepEqual(await resolve(names, source, 'db.internal'), expected);
    pass(9_999);
    assert.deepEqual(await resolve(names, source, 'db.internal'), expected);
    assert.equal(source.asked.length, 2);
    pass(1);
    assert.deepEqual(await resolve(names, source, 'db.internal'), expected);
    assert.deepEqual([source.asked.length, source.flows.size, names.counters.cached], [4, 1, 1]);
  });

  it('keeps addresses for five minutes at most, for a second at least, and answers without address for five', async t => {
    const { names, pass } = open(t);
    const source = new MemoryResolver();
    source.records.set('A long.internal', [record('long.internal', '10.0.0.1', 86_400)]);
    source.records.set('A short.internal', [record('short.internal', '10.0.0.2', 0)]);
    const asked = async (name: string): Promise<number> => {
      const before = source.asked.length;
      await resolve(names, source, name).catch(() => undefined);
      return source.asked.length - before;
    };
    for (const [name, keptMs] of [
      ['long.internal', 300_000],
      ['short.internal', 1_000],
      ['none.internal', 5_000],
    ] as const) {
      assert.equal(await asked(name), 2);
      pass(keptMs - 1);
      assert.equal(await asked(name), 0);
      pass(1);
      assert.equal(await asked(name), 2);
    }
    await assert.rejects(() => resolve(names, source, 'none.internal'), unreachable);
  });

  it('asks once for all who wait, again for what got lost, and not for ever', async t => {
    const { names } = open(t);
    const source = new MemoryResolver();
    source.records.set('A db.internal', [record('db.internal', '10.0.0.1', 10)]);
    source.lose = 2;
    const all = await Promise.all([1, 2, 3].map(() => resolve(names, source, 'db.internal')));
    assert.deepEqual(all, [['10.0.0.1'], ['10.0.0.1'], ['10.0.0.1']]);
    assert.equal(source.asked.length, 4);
    source.isSilent = true;
    await assert.rejects(() => resolve(names, source, 'silent.internal'), /gave no answer about silent\.internal/);
    assert.equal(source.asked.length, 8);
    assert.deepEqual([names.counters.found, names.counters.noAnswer], [1, 1]);
  });

  it('does not wait for a family that is never answered', async t => {
    const { names } = open(t, [60_000]);
    const source = new MemoryResolver();
    source.records.set('A db.internal', [record('db.internal', '10.0.0.1', 10)]);
    const { open: openFlow } = source;
    const half: NameSource = {
      key: source.key,
      title: source.title,
      open: (idleMs, events) => {
        const flow = openFlow(idleMs, events);
        return {
          ...flow,
          send: payload => decode(Buffer.from(payload)).questions?.[0]?.type === 'AAAA' || flow.send(payload),
        };
      },
    };
    assert.deepEqual(await resolve(names, half, 'db.internal'), ['10.0.0.1']);
  });

  it('asks over a stream when an answer was cut, and closes it', async t => {
    const { names } = open(t, [60_000]);
    const source = new MemoryResolver();
    const streams: Duplex[] = [];
    let isMute = false;
    const cut: NameSource = {
      key: source.key,
      title: source.title,
      open: (idleMs, events) =>
        source.open(idleMs, {
          ...events,
          payload: payload => {
            payload[2] = (payload[2] ?? 0) | 0x02;
            events.payload(payload);
          },
        }),
      openStream: async () => {
        const [ours, theirs] = duplexPair();
        streams.push(ours);
        theirs
          .on('error', () => undefined)
          .once('data', (chunk: Buffer) => {
            const query = decode(chunk.subarray(2));
            const [question] = query.questions ?? [];
            const data = Array.from({ length: 100 }, (_, index) => `10.0.0.${index}`);
            const answers = question?.type === 'A' ? data.map(one => record('db.internal', one, 10)) : [];
            const answer = encode({ ...query, type: 'response', answers });
            if (!isMute) theirs.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]));
          });
        return ours;
      },
    };
    assert.equal((await resolve(names, cut, 'db.internal')).length, 100);
    await until('their end', () => streams.length === 2 && streams.every(stream => stream.destroyed));
    isMute = true;
    const waiting = assert.rejects(() => resolve(names, cut, 'mute.internal'), unreachable);
    await until('the streams', () => streams.length === 4);
    names.close();
    await waiting;
    await until('their end', () => streams.every(stream => stream.destroyed));
  });

  it('keeps sources apart', async t => {
    const { names } = open(t);
    const [one, two] = [new MemoryResolver('one'), new MemoryResolver('two')];
    one.records.set('A db.internal', [record('db.internal', '10.0.0.1', 10)]);
    two.records.set('A db.internal', [record('db.internal', '10.0.0.2', 10)]);
    assert.deepEqual(await resolve(names, one, 'db.internal'), ['10.0.0.1']);
    assert.deepEqual(await resolve(names, two, 'db.internal'), ['10.0.0.2']);
  });

  it('has a bound for look-ups and for what it keeps', async t => {
    const { names } = open(t, [60_000]);
    const silent = new MemoryResolver('silent');
    silent.isSilent = true;
    const waiting = Array.from({ length: 256 }, (_, index) => resolve(names, silent, `n${index}.internal`));
    await assert.rejects(
      () => resolve(names, silent, 'more.internal'),
      error => isPosternError(error, 'flow.limit'),
    );
    // Another source has its own.
    const source = new MemoryResolver();
    await assert.rejects(() => resolve(names, source, 'none.internal'), unreachable);
    for (let round = 0; round < 17; round += 1) {
      await Promise.all(
        Array.from({ length: 256 }, (_, index) =>
          resolve(names, source, `r${round}-${index}.internal`).catch(unreachable),
        ),
      );
    }
    assert.deepEqual([names.size, names.counters.refused], [4_096, 1]);
    names.close();
    for (const one of await Promise.allSettled(waiting)) assert.equal(one.status, 'rejected');
    await until('the flows’ ends', () => silent.flows.size + source.flows.size === 0);
    await assert.rejects(() => resolve(names, source, 'late.internal'), unreachable);
  });

  it('says at once when there is no way to the resolver', async t => {
    const { names } = open(t, [60_000]);
    const source = new MemoryResolver();
    source.isDenied = true;
    await assert.rejects(() => resolve(names, source, 'db.internal'), unreachable);
  });
});
