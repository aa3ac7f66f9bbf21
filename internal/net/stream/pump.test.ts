import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { pump } from './pump.ts';

const readBytes = 64 * 1024;

/** A source that brings what it is given, and a sink that takes nothing until `take` is called. */
function open() {
  let done: (() => void) | undefined;
  const sink = new Writable({
    highWaterMark: readBytes,
    write: (_chunk: Buffer, _encoding, callback) => {
      done = callback;
    },
  });
  const take = (): void => {
    const callback = done;
    done = undefined;
    callback?.();
  };
  return { source: new Readable({ read: () => undefined }), sink, take };
}

describe('pump', () => {
  it('lets two reads of a socket wait, and no more', async () => {
    const { source, sink, take } = open();
    pump(source, sink);
    source.push(Buffer.alloc(readBytes));
    await turn();
    assert.equal(source.isPaused(), false, 'one read stops nothing');
    source.push(Buffer.alloc(readBytes));
    await turn();
    assert.equal(source.isPaused(), true);
    source.push(Buffer.alloc(readBytes));
    source.push(null);
    assert.equal(sink.writableLength, 2 * readBytes);
    for (let piece = 0; piece < 3; piece += 1) {
      take();
      await turn();
    }
    assert.equal(sink.writableFinished, true);
  });

  it('writes no more and resumes nothing once it is stopped', async () => {
    const { source, sink, take } = open();
    const stop = pump(source, sink);
    source.push(Buffer.alloc(2 * readBytes));
    await turn();
    assert.equal(source.isPaused(), true);
    stop();
    take();
    await turn();
    assert.equal(source.isPaused(), true);
    source.resume().push(Buffer.alloc(readBytes));
    source.push(null);
    await turn();
    assert.equal(sink.writableLength, 0);
    assert.equal(sink.writableEnded, false);
  });
});
