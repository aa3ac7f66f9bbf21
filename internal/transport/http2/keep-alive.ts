// Notices a dead HTTP/2 peer within seconds: when nothing was received for a while a PING is sent, and no answer ends
// the connection. Source: docs/protocol/edge-protocol.md §10.1 item 4 and §13 (the edge should ping); RFC 9113 §6.7.

import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { PosternError } from '../../errors/error.ts';

/** How often is looked. */
const lookMs = 1_000;
/** Silence before a PING, and how long its answer may take. An idle peer costs a packet in three seconds. */
const quietMs = 3_000;
const answerMs = 4_000;

/** Watches until the session closes. Calls `dead` at most once, and `pong` with the round trip of every answered ping. */
export function watchPeer(
  session: Http2Session,
  socket: Socket,
  dead: (error: PosternError) => void,
  pong: (durationMs: number) => void,
): void {
  let seenBytes = socket.bytesRead;
  let seenAt = performance.now();
  let lookedAt = seenAt;
  let pingedAt: number | undefined;
  const timer = setInterval(() => {
    // Closing takes a moment, in which a ping would throw.
    if (session.destroyed) return;
    const now = performance.now();
    // Late by as much as it waits: this process stood still, and what the peer said meanwhile is still to be read.
    const stoodStill = now - lookedAt > 2 * lookMs;
    lookedAt = now;
    if (socket.bytesRead !== seenBytes || stoodStill) {
      seenBytes = socket.bytesRead;
      seenAt = now;
      pingedAt = undefined;
    } else if (pingedAt === undefined && now - seenAt >= quietMs - lookMs / 2) {
      pingedAt = now;
      // The answer shows as received bytes; a refused ping means that the session is ending anyway.
      session.ping((error, durationMs) => {
        if (error === null) pong(durationMs);
      });
    } else if (pingedAt !== undefined && now - pingedAt >= answerMs - lookMs / 2) {
      clearInterval(timer);
      dead(new PosternError('connection.lost', `The peer did not answer for ${(quietMs + answerMs) / 1000} s.`));
    }
  }, lookMs);
  timer.unref();
  session.once('close', () => clearInterval(timer));
}
