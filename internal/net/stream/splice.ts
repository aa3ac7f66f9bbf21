// Joins two Duplex streams byte for byte in both directions. A FIN in one direction ends only that direction; a stream
// that breaks takes the other down at once. Source: architecture, "a FIN in one direction never ends the other".

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { pump } from './pump.ts';

/**
 * Copies `a` to `b` and `b` to `a` with back-pressure until both directions have ended, or either stream breaks.
 * Both streams must allow half-open and have their own 'error' listeners or none: this adds one. They are owned from here
 * on: each is destroyed, the other end of a broken one with a reset where the kind of stream knows one.
 *
 * @param lingerMs how long one direction may go on after the other has ended, for protocols without half-close; then both
 *   streams are destroyed. Default: for ever.
 * @param idleMs how long the direction that is left may say nothing after the other has ended, at most twice that.
 */
export function splice(
  a: Duplex,
  b: Duplex,
  lingerMs = Number.POSITIVE_INFINITY,
  idleMs = defaultHalfOpenIdleMs,
): void {
  a.on('error', ignore).once('close', () => onClose(a, b));
  b.on('error', ignore).once('close', () => onClose(b, a));
  if (a.destroyed || b.destroyed) {
    breakOff(a);
    breakOff(b);
    return;
  }
  pump(a, b);
  pump(b, a);
  if (lingerMs !== Number.POSITIVE_INFINITY) endTogether(a, b, lingerMs);
  else endIdle(a, b, idleMs);
}

/** A job that was given all its input may compute for that long; who has gone without a word is found by TCP keep-alive. */
const defaultHalfOpenIdleMs = 60 * 60_000;

/** Half-open flows that nobody uses would stay for ever, each with its sockets. */
function endIdle(a: Duplex, b: Duplex, idleMs: number): void {
  let timer: NodeJS.Timeout | undefined;
  let isUsed = false;
  const look = (): void => {
    if (isUsed) {
      isUsed = false;
      timer = setTimeout(look, idleMs).unref();
      return;
    }
    breakOff(a);
    breakOff(b);
  };
  const watch = (left: Duplex): void => {
    if (timer !== undefined || left.readableEnded) return;
    left.on('data', () => {
      isUsed = true;
    });
    timer = setTimeout(look, idleMs).unref();
  };
  a.once('end', () => watch(b)).once('close', () => clearTimeout(timer));
  b.once('end', () => watch(a)).once('close', () => clearTimeout(timer));
}

/** WebSocket has no half-close (RFC 6455 §7.1): who has gone may never say so again, and the rest would wait for ever. */
export const webSocketLingerMs = 5_000;

function endTogether(a: Duplex, b: Duplex, lingerMs: number): void {
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    timer ??= setTimeout(() => {
      breakOff(a);
      breakOff(b);
    }, lingerMs);
  };
  const stop = (): void => {
    if (a.destroyed && b.destroyed) clearTimeout(timer);
  };
  for (const stream of [a, b]) stream.once('end', start).once('close', stop);
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
  // Only plain TCP knows a reset: a TLS or unix socket would throw. While one is being shut down it cannot be reset:
  // libuv refuses (EINVAL), and Node would keep the descriptor for ever.
  const isTcp = stream instanceof Socket && !(stream instanceof TLSSocket) && stream.remotePort !== undefined;
  const isEnding = stream.writableEnded && !stream.writableFinished;
  if (isTcp && !isEnding) stream.resetAndDestroy();
  else stream.destroy(new Error('the other side broke off'));
}

function ignore(): void {
  // The 'close' that follows is what counts.
}
