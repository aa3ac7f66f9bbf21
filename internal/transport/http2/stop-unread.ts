// Ends a request whose answer is complete while the edge still sends its body.

import { constants, type ServerHttp2Stream } from 'node:http2';

/** How often the wait below looks whether the answer is out, at first and at last, and how long it waits in all. */
const flushed = { firstMs: 5, lastMs: 1_000, totalMs: 30_000 };

/**
 * For 'finish' of an answer: the edge is told to stop sending (RFC 9113 §8.1). Not at once: nghttp2 drops the head and the
 * trailers of a stream that is reset before they were flushed.
 */
export function stopUnreadRequest(this: ServerHttp2Stream): void {
  if (this.readableEnded) return;
  // Node keeps a stream until its bytes were read, whoever wants them.
  this.resume();
  setImmediate(stopReceiving, this, 0);
}

function stopReceiving(stream: ServerHttp2Stream, waitedMs: number): void {
  const { session } = stream;
  if (stream.readableEnded || stream.destroyed || session === undefined) return;
  // Frames wait in the session while the edge does not read.
  if ((session.state.outboundQueueSize ?? 0) > 0 && waitedMs < flushed.totalMs) {
    const nextMs = Math.min(Math.max(waitedMs, flushed.firstMs), flushed.lastMs);
    setTimeout(stopReceiving, nextMs, stream, waitedMs + nextMs);
    return;
  }
  stream.close(constants.NGHTTP2_NO_ERROR);
}
