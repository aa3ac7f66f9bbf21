// What unread streams keep in memory, counted by the C library's allocator (mallinfo2, glibc since 2.33).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import koffi from 'koffi';
import { duplexOf, openQuicPair, quiet } from '../../test/support/quic-pair.ts';
import { until } from '../../test/support/wait.ts';
import { QuicDuplex } from './duplex.ts';

const streams = 64;
const unread = 4;
const bodyBytes = 1_000_000;
/** What else may come and go meanwhile: slabs, queues, the engine's tables. */
const slackBytes = 20e6;

interface MallocInfo {
  /** Bytes in use, of the heap and mapped. */
  readonly uordblks: number;
  readonly hblkhd: number;
}

function loadMallocInfo(): (() => MallocInfo) | undefined {
  if (process.platform !== 'linux') return undefined;
  const fields = [
    'arena',
    'ordblks',
    'smblks',
    'hblks',
    'hblkhd',
    'usmblks',
    'fsmblks',
    'uordblks',
    'fordblks',
    'keep',
  ];
  try {
    koffi.struct('mallinfo2', Object.fromEntries(fields.map(name => [name, 'size_t'])));
    return koffi.load(null).func('mallinfo2 mallinfo2()');
  } catch {
    return undefined;
  }
}

const mallocInfo = loadMallocInfo();

function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('globalThis.gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  collect();
  const { uordblks = 0, hblkhd = 0 } = mallocInfo?.() ?? {};
  return uordblks + hblkhd;
}

describe('what unread streams keep', { skip: mallocInfo === undefined }, () => {
  it('is their own bytes, however they were mixed with others on the way', async t => {
    const { client, atServer } = await openQuicPair(t);
    const body = Buffer.alloc(bodyBytes, 1);
    const before = usedBytes();
    const read: Promise<unknown>[] = [];
    let opened = 0;
    const everyStream = new Promise<void>(resolve => {
      atServer.stream = stream => {
        // The send buffer mixes some eight streams at a time: one of them is unread.
        const isRead = opened % (streams / unread) > 0;
        opened += 1;
        if (isRead) {
          const far = quiet(new QuicDuplex(stream, { onStop: 'reset' })).resume();
          read.push(finished(far, { writable: false }));
        }
        if (opened === streams) resolve();
      };
    });
    const senders = Array.from({ length: streams }, () => duplexOf(client));
    for (const sender of senders) sender.end(body);
    await everyStream;
    await Promise.all(read);
    await client.flushed();
    const kept = usedBytes() - before;
    assert.ok(kept >= unread * bodyBytes, `only ${kept} bytes are kept`);
    assert.ok(kept < 2 * unread * bodyBytes + slackBytes, `${kept} bytes are kept for ${unread * bodyBytes} unread`);
  });
});

describe('what a paused duplex holds', () => {
  it('lies in memory of its own', async t => {
    const { client, atServer } = await openQuicPair(t);
    const near = duplexOf(client);
    near.write('a small piece');
    const far = await atServer.nextDuplex();
    far.pause().read(0);
    await until('the piece waits', () => far.readableLength > 0);
    const [piece] = (await Promise.all([once(far, 'data'), far.resume()]))[0] as [Buffer];
    assert.equal(piece.toString(), 'a small piece');
    assert.equal(piece.buffer.byteLength, piece.length);
  });
});
