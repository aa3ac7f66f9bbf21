// Requests of HTTP visitors.

import type { Pool } from 'undici';
import { publishedHost } from './contender.ts';
import type { Send } from './load.ts';
import { bulkBytes, paths, visitorHeaders } from './requests.ts';

const uploadBody = Buffer.alloc(bulkBytes, 'postern ');

export function httpSend(kind: 'small' | 'down' | 'up', pool: Pool): Send {
  const isUpload = kind === 'up';
  const headers = ['host', publishedHost, ...visitorHeaders];
  return (_slot, done) => {
    let received = 0;
    let status = 0;
    pool.dispatch(
      { method: isUpload ? 'POST' : 'GET', path: paths[kind], headers, body: isUpload ? uploadBody : null },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_controller, code) => {
          status = code;
        },
        onResponseData: (_controller, piece) => {
          received += piece.length;
        },
        onResponseEnd: () => done(isUpload ? bulkBytes : received, status >= 200 && status < 300),
        onResponseError: () => done(0, false),
      },
    );
  };
}
