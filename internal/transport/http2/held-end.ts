// Holds back the end of a request stream from connectors that would drop the rest of the answer at it; see ../held-end.ts.
// Connectors of ours announce by a setting that they do not.

import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { heldEndMs } from '../held-end.ts';

/** Of the range for experiments; peers must ignore what they do not know (RFC 9113 §6.5.2, RFC 7540 §11.3). */
export const halfCloseSetting = 0xf05e;

/** Whether the connector lets the rest of an answer pass after the end of the request. To be asked after its SETTINGS. */
export function knowsHalfClose(session: ClientHttp2Session): boolean {
  return session.remoteSettings.customSettings?.[halfCloseSetting] === 1;
}

/**
 * From now on `end` of the stream sends what it is given, and END_STREAM once the answer has ended or nothing of it came for
 * `quietMs`. Call it once, before anything reads from the stream.
 */
export function holdEnd(stream: ClientHttp2Stream, quietMs = heldEndMs): void {
  const { push } = stream;
  let timer: NodeJS.Timeout | undefined;
  let hasAnswerEnded = false;
  const release = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  const sendEnd = (): void => {
    release();
    Object.getPrototypeOf(stream).end.call(stream);
  };
  stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    const more = push.call(stream, chunk, encoding);
    if (chunk !== null) timer?.refresh();
    else {
      hasAnswerEnded = true;
      if (timer !== undefined) sendEnd();
    }
    return more;
  };
  const end = (chunk?: unknown): ClientHttp2Stream => {
    if (chunk !== undefined && chunk !== null) stream.write(chunk);
    if (hasAnswerEnded) sendEnd();
    else timer ??= setTimeout(sendEnd, quietMs);
    return stream;
  };
  stream.end = end;
  stream.once('close', release);
}
