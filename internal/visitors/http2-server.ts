// The HTTP/2 side of the visitors' listeners: sessions on TLS sockets that chose h2. Source: RFC 9113 §5.1.2 (stream
// limit), §6.5.2 (settings), §10.5 (denial of service). Floods of resets, pings and settings are bounded by Node itself.

import { constants, performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { WriteWatch } from '../net/stream/write-watch.ts';
import { resetStream } from '../transport/http2/clean-end.ts';
import { watchReader } from '../transport/http2/held.ts';
import { sentHeaderBytes, streamWindowBytes } from '../transport/http2/settings.ts';
import { Http2Response, readHttp2 } from './http2-visitor.ts';
import { maxHeaderBytes, maxHeaders, type VisitorTimeouts } from './limits.ts';
import { refuseRequest } from './refuse.ts';
import type { HandleVisitor } from './visitor.ts';

/**
 * A stalled upload holds at most its window, because Node credits the connection's window on arrival: 100 streams (as
 * common servers allow) of 1 MiB (20 MB/s at a round trip of 50 ms) bound a connection to 100 MiB.
 */
const settings = {
  initialWindowSize: streamWindowBytes,
  maxConcurrentStreams: 100,
  maxHeaderListSize: maxHeaderBytes,
};
/** How long a visitor may take to read that an idle session ends. */
const goawayMs = 500;
const connectionWindowBytes = 8 << 20;

/** Serves a session until it ends; `sessions` holds it so long. `writes` watches for visitors who take nothing. */
export function serveHttp2(
  socket: TLSSocket,
  sessions: Set<ServerHttp2Session>,
  handle: HandleVisitor,
  timeouts: VisitorTimeouts,
  writes: WriteWatch,
): void {
  const session = performServerHandshake(socket, {
    settings,
    maxHeaderListPairs: maxHeaders,
    maxSessionMemory: 64,
    maxSendHeaderBlockLength: sentHeaderBytes,
    strictSingleValueFields: false,
  });
  sessions.add(session);
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
    sessions.delete(session);
    socket.destroy();
  });
  const left = (): void => {
    running -= 1;
    if (running === 0) idle.refresh();
  };
  session.on('stream', (stream, headers, flags, raw) => {
    running += 1;
    stream.once('close', left);
    watchReader(stream);
    writes.watch(stream, () => resetStream(stream));
    const response = new Http2Response(stream, headers.expect === '100-continue');
    const request = readHttp2(stream, raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    if (typeof request === 'number') refuseRequest(response, request);
    else handle(request, response);
  });
}
