// Notices a dead HTTP/2 peer within seconds: when nothing was received for a while a PING is sent, and no answer ends
// the connection. Source: spec edge-protocol §10.1 item 4 and §13 (the edge should ping); RFC 9113 §6.7.

import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { PosternError } from '../../errors/error.ts';

/** Silence before a PING, and how long its answer may take: a dead peer is noticed within 10 s, an idle one costs 0.2 packets/s. */
const quietMs = 5_000;
const answerMs = 5_000;

/** Watches until the session closes. Calls `dead` at most once, and `pong` with the round trip of every answered ping. */
export function watchPeer(
  session: Http2Session,
  socket: Socket,
  dead: (error: PosternError) => void,
  pong: (durationMs: number) => void,
): void {
  let seenBytes = socket.bytesRead;
  let pingedAt: number | undefined;
  const timer = setInterval(() => {
    // Closing takes a moment, in which a ping would throw.
    if (session.destroyed) return;
    if (socket.bytesRead !== seenBytes) {
      seenBytes = socket.bytesRead;
      pingedAt = undefined;
      return;
    }
    if (pingedAt === undefined) {
      pingedAt = performance.now();
      // The answer shows as received bytes; a refused ping means that the session is ending anyway.
      session.ping((error, durationMs) => {
        if (error === null) pong(durationMs);
      });
    } else if (performance.now() - pingedAt >= answerMs - 50) {
      clearInterval(timer);
      dead(new PosternError('connection.lost', `The peer did not answer for ${(quietMs + answerMs) / 1000} s.`));
    }
  }, quietMs);
  timer.unref();
  session.once('close', () => clearInterval(timer));
}
