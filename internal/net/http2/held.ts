// Tells the process's account of slow readers when the reader of an HTTP/2 stream stops and goes on. Node hands over what
// comes for a stream whether it is read or not, up to the stream's window.

import type { Http2Stream } from 'node:http2';
import { heldStreams } from '../limits/held-streams.ts';
import { streamWindowBytes } from './sizes.ts';

/** Call once, for a stream with the receive window `streamWindowBytes`. */
export function watchReader(stream: Http2Stream): void {
  stream.on('pause', hold).on('resume', release).once('close', release);
}

function hold(this: Http2Stream): void {
  heldStreams.hold(this, streamWindowBytes);
}

function release(this: Http2Stream): void {
  heldStreams.release(this);
}
