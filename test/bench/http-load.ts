// Requests of HTTP visitors.

import { Readable } from 'node:stream';
import type { Pool } from 'undici';
import { publishedHost } from './contender.ts';
import type { Send } from './load.ts';
import { bulkBytes, paths, visitorHeaders } from './requests.ts';

const piece = Buffer.alloc(64 * 1024, 'postern ');

/** In pieces: node:http2's client refuses further streams while it holds more than 10 MB. */
function* uploadBody(): Generator<Buffer> {
  for (let left = bulkBytes; left > 0; left -= piece.length) yield piece;
}

export function httpSend(kind: 'small' | 'down' | 'up', pool: Pool): Send {
  const isUpload = kind === 'up';
  const length = isUpload ? ['content-length', String(bulkBytes)] : [];
  const headers = ['host', publishedHost, ...visitorHeaders, ...length];
  return (_slot, done) => {
    let received = 0;
    let status = 0;
    pool.dispatch(
      {
        method: isUpload ? 'POST' : 'GET',
        path: paths[kind],
        headers,
        body: isUpload ? Readable.from(uploadBody()) : null,
      },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_controller, code) => {
          status = code;
        },
        onResponseData: (_controller, chunk) => {
          received += chunk.length;
        },
        onResponseEnd: () => done(isUpload ? bulkBytes : received, status >= 200 && status < 300),
        onResponseError: () => done(0, false),
      },
    );
  };
}
