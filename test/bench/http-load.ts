// The same requests over plain HTTP/1.1 keep-alive connections, for the reverse proxy beside which the connector is
// measured.

import type { Pool } from 'undici';
import type { Send } from './load.ts';
import type { LoadKind } from './options.ts';
import { bulkBytes, paths, visitorHeaders } from './requests.ts';

const uploadBody = Buffer.alloc(bulkBytes, 'postern ');

export function httpSend(kind: LoadKind, pool: Pool): Send {
  const isUpload = kind === 'up';
  const headers = ['host', 'bench.example.com', ...visitorHeaders];
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
