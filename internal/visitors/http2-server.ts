// The HTTP/2 side of the visitors' listeners: sessions on TLS sockets that chose h2, and in the clear with prior knowledge.
// Source: RFC 9113 §3.3 (prior knowledge), §5.1.2 (stream limit), §6.5.2 (settings). Floods of pings and settings are bounded
// by Node itself, others by http2-floods.ts.

import { constants, performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { resetStream } from '../net/http2/clean-end.ts';
import { watchReader } from '../net/http2/held.ts';
import { sentHeaderBytes, streamWindowBytes } from '../net/http2/sizes.ts';
import type { WriteWatch } from '../net/stream/write-watch.ts';
import { type FloodWatch, SessionCost } from './http2-floods.ts';
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
/** How long a visitor may take to read that an idle session ends. */
const goawayMs = 500;
export const connectionWindowBytes = 8 << 20;

/** Serves a session until it ends. `writes` watches for visitors who take nothing. */
export function serveHttp2(
  socket: Socket,
  handle: HandleVisitor,
  parts: {
    readonly place: Place;
    readonly places: Places;
    readonly timeouts: VisitorTimeouts;
    readonly writes: WriteWatch;
    readonly floods: FloodWatch;
  },
): ServerHttp2Session {
  const { place, places, timeouts, writes, floods } = parts;
  const { remoteAddress } = socket;
  const session = performServerHandshake(socket, {
    settings,
    maxHeaderListPairs: maxHeaders,
    maxSessionMemory: 64,
    maxSendHeaderBlockLength: sentHeaderBytes,
    strictSingleValueFields: false,
  });
  // What is wrong with a session is its visitor's doing; its end follows.
  session.on('error', () => undefined);
  session.setLocalWindowSize(connectionWindowBytes);
  const cost = new SessionCost(socket, () => {
    floods.forget(cost);
    places.strike(remoteAddress);
    session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });
  floods.watch(cost);
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
    floods.forget(cost);
    socket.destroy();
  });
  session.on('stream', (stream, headers, flags, raw) => {
    running += 1;
    place.busy();
    const response = new Http2Response(stream, headers.expect === '100-continue');
    const endsHere = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    cost.count(stream, !endsHere);
    const request = readHttp2(stream, raw, endsHere);
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
    else if (leave === undefined) answerProblem(response, request, 'busy');
    else if (!cost.isCareful) handle(request, response);
    else setImmediate(() => stream.destroyed || handle(request, response));
  });
  return session;
}
