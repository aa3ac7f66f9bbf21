// Makes 'end' of an HTTP/2 stream mean END_STREAM, and a reset mean RST_STREAM alone. Node pushes the end also into a
// stream that was reset with CANCEL or whose connection was lost, so that a truncated body would pass for a whole one; and
// its `close(code)` sends END_STREAM before the reset when the writable side is open.

import type { Http2Stream } from 'node:http2';
import { Readable } from 'node:stream';
import { PosternError } from '../../errors/error.ts';

/** Guards `stream`; call once, before anything reads from it. Also keeps its errors from ending the process. */
export function endOnlyWhenClean(stream: Http2Stream): void {
  stream.push = pushUnlessReset;
  // A failed stream shows as 'close' without 'end' to whoever reads; nothing else is to be learnt from the error.
  stream.on('error', ignore);
}

/** Resets both directions now; the peer sees RST_STREAM(INTERNAL_ERROR) and no end. */
export function resetStream(stream: Http2Stream): void {
  stream.destroy(new PosternError('stream.reset', 'The stream was reset.'));
}

function pushUnlessReset(this: Http2Stream, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && this.rstCode) return false;
  return Readable.prototype.push.call(this, chunk, encoding);
}

function ignore(): void {
  // Deliberately empty: see above.
}
