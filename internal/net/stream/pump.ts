// Copies one stream to another with back-pressure. In place of `pipe`, which knows neither gathering nor garbage, and stops
// its source at each read of a socket: with 64 KiB the reads are as large as what `pipe` lets wait.

import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { GatheredWrites } from './gathered-writes.ts';
import { countGarbage } from './young-garbage.ts';

/** Bytes that may wait in a stream which is no socket: two reads, so that reading need not stop after each. */
const roomBytes = 128 * 1024;

/** Call after writing to a stream that is no socket. False when no more should be written before its 'drain', which follows. */
export function takesMore(sink: Writable): boolean {
  return sink.writableLength < roomBytes || !sink.writableNeedDrain;
}

/**
 * Copies `source` to `sink` until it ends, its end included, or until what is returned is called. Errors of both are the
 * caller's.
 */
export function pump(source: Readable, sink: Writable): () => void {
  // Other sinks gather by themselves.
  const writes = sink instanceof Socket ? new GatheredWrites(sink) : undefined;
  const resume = (): void => void source.resume();
  const copy = (chunk: Buffer): void => {
    countGarbage(chunk.length);
    writes?.begin();
    sink.write(chunk);
    if (!(writes?.takesMore() ?? takesMore(sink))) source.pause();
  };
  const end = (): void => {
    writes?.flush();
    sink.end();
  };
  sink.on('drain', resume);
  source.on('data', copy);
  if (source.readableEnded) process.nextTick(end);
  else source.once('end', end);
  if (sink.writableNeedDrain) source.pause();
  else source.resume();
  return () => {
    sink.off('drain', resume);
    source.off('data', copy).off('end', end);
  };
}
