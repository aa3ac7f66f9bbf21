// The HTTP/2 side of the visitors' listeners: sessions on TLS sockets that chose h2, and in the clear with prior knowledge.
// Source: RFC 9113 §3.3 (prior knowledge), §5.1.2 (stream limit), §6.5.2 (settings), §10.5 (denial of service). Floods of
// pings and settings are bounded by Node itself.

import { constants, performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { WriteWatch } from '../net/stream/write-watch.ts';
import { resetStream } from '../transport/http2/clean-end.ts';
import { watchReader } from '../transport/http2/held.ts';
import { sentHeaderBytes, streamWindowBytes } from '../transport/http2/settings.ts';
import { Http2Response, readHttp2 } from './http2-visitor.ts';
import { maxHeaderBytes, maxHeaders, type VisitorTimeouts } from './limits.ts';
import type { Place, Places } from './places.ts';
import { answerProblem } from './problem.ts';
import { refuseRequest } from './refuse.ts';
import type { HandleVisitor } from './visitor.ts';

/**
 * A stalled upload holds at most its window, because Node credits the connection's window on arrival; stalled uploads of
 * all visitors stand in one account (`watchReader`). Node counts a cancelled stream until the event loop has turned once
 * more, and refuses new ones beyond the limit with ENHANCE_YOUR_CALM: twice what browsers and common servers use at once
 * (100) lets a visitor cancel all of those and ask for as many at once.
 */
const settings = {
  initialWindowSize: streamWindowBytes,
  maxConcurrentStreams: 200,
  maxHeaderListSize: maxHeaderBytes,
};
/**
 * Streams that a visitor may reset, at once and each second in the long run; beyond it the session ends (rapid reset). A page
 * that is left cancels what it has open; nobody does that often.
 */
const resets = { streamResetBurst: 400, streamResetRate: 20 };
/** How long a visitor may take to read that an idle session ends. */
const goawayMs = 500;
const connectionWindowBytes = 8 << 20;

/** Serves a session until it ends. `writes` watches for visitors who take nothing. */
export function serveHttp2(
  socket: Socket,
  handle: HandleVisitor,
  parts: {
    readonly place: Place;
    readonly places: Places;
    readonly timeouts: VisitorTimeouts;
    readonly writes: WriteWatch;
  },
): ServerHttp2Session {
  const { place, places, timeouts, writes } = parts;
  const session = performServerHandshake(socket, {
    settings,
    maxHeaderListPairs: maxHeaders,
    maxSessionMemory: 64,
    maxSendHeaderBlockLength: sentHeaderBytes,
    strictSingleValueFields: false,
    ...resets,
  });
  // What is wrong with a session is its visitor's doing; its end follows.
  session.on('error', () => undefined);
  session.setLocalWindowSize(connectionWindowBytes);
  let running = 0;
  // Without a request a session ends, whatever else it sends: a head that never completes is no request.
  let closing: NodeJS.Timeout | undefined;
  const idle = setTimeout(() => {
    if (running > 0) return;
    session.close();
    // That waits for streams whose head is not complete, too.
    closing = setTimeout(() => session.destroy(), goawayMs);
  }, timeouts.keepAliveMs);
  session.once('close', () => {
    clearTimeout(idle);
    clearTimeout(closing);
    socket.destroy();
  });
  session.on('stream', (stream, headers, flags, raw) => {
    running += 1;
    place.busy();
    const response = new Http2Response(stream, headers.expect === '100-continue');
    const request = readHttp2(stream, raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    const leave = typeof request === 'number' ? undefined : places.admitRequest(request.remoteAddress);
    stream.once('close', () => {
      leave?.();
      running -= 1;
      if (running > 0) return;
      idle.refresh();
      place.waiting();
    });
    watchReader(stream);
    writes.watch(stream, () => resetStream(stream));
    if (typeof request === 'number') refuseRequest(response, request);
    else if (leave === undefined) answerProblem(response, request, { kind: 'busy' });
    else handle(request, response);
  });
  return session;
}
