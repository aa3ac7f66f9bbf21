// Joins two Duplex streams byte for byte in both directions. A FIN in one direction ends only that direction; a stream
// that breaks takes the other down at once. Source: architecture, "a FIN in one direction never ends the other".

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { countGarbage } from './young-garbage.ts';

/** Bytes gathered into one write to a socket at most: eight DATA frames as HTTP/2 peers cut them, as in request bodies. */
const gatherBytes = 128 * 1024;

/**
 * Copies `a` to `b` and `b` to `a` with back-pressure until both directions have ended, or either stream breaks.
 * Both streams must allow half-open and have their own 'error' listeners or none: this adds one. They are owned from here
 * on: each is destroyed, the other end of a broken one with a reset where the kind of stream knows one.
 */
export function splice(a: Duplex, b: Duplex): void {
  a.on('error', ignore).once('close', () => onClose(a, b));
  b.on('error', ignore).once('close', () => onClose(b, a));
  if (a.destroyed || b.destroyed) {
    breakOff(a);
    breakOff(b);
    return;
  }
  pump(a, b);
  pump(b, a);
}

/** Copies one direction, its end included. In place of `pipe`, which knows neither gathering nor garbage. */
function pump(source: Duplex, sink: Duplex): void {
  // What goes the other way comes from a socket, in large pieces already.
  const gathers = sink instanceof Socket;
  let gathering = false;
  const flush = (): void => {
    if (!gathering) return;
    gathering = false;
    sink.uncork();
  };
  const end = (): void => {
    flush();
    sink.end();
  };
  sink.on('drain', () => source.resume());
  source.on('data', (chunk: Buffer) => {
    countGarbage(chunk.length);
    if (!gathers) {
      if (!sink.write(chunk)) source.pause();
      return;
    }
    if (!gathering) {
      gathering = true;
      sink.cork();
      setImmediate(flush);
    }
    sink.write(chunk);
    if (sink.writableLength < gatherBytes) return;
    flush();
    // What the kernel did not take at once is the sign to wait. 'drain' follows: this much is above any high-water mark.
    if (sink.writableLength > 0) source.pause();
  });
  if (source.readableEnded) process.nextTick(end);
  else source.once('end', end);
  if (sink.writableNeedDrain) source.pause();
  else source.resume();
}

/** Whether everything that came was read and everything written went out. */
function endedWell(stream: Duplex): boolean {
  return stream.readableEnded && stream.writableFinished && stream.errored === null;
}

function onClose(closed: Duplex, other: Duplex): void {
  if (!endedWell(closed)) breakOff(other);
}

/** Ends a stream so that its peer can tell truncation from an orderly end. */
function breakOff(stream: Duplex): void {
  if (stream.destroyed) return;
  // Only plain TCP knows a reset: a TLS or unix socket would throw.
  if (stream instanceof Socket && !(stream instanceof TLSSocket) && stream.remotePort !== undefined)
    stream.resetAndDestroy();
  else stream.destroy(new Error('the other side broke off'));
}

function ignore(): void {
  // The 'close' that follows is what counts.
}
