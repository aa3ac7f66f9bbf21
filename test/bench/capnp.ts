// How much the codecs of our own for QUIC request heads save against the general library (capnp-es), on the same
// messages: CPU time for each message, and the ratio. `node test/bench/capnp.ts`

import { decodeConnectRequest, encodeConnectRequest } from '../../internal/wire/stream/connect-request.ts';
import { decodeConnectResponse, encodeConnectResponse } from '../../internal/wire/stream/connect-response.ts';
import { decodeRequestHead, encodeRequestHead, measureStreamHead } from '../../internal/wire/stream/stream-head.ts';
import {
  oracleDecodeRequest,
  oracleDecodeResponse,
  oracleEncodeRequest,
  oracleEncodeResponse,
} from '../support/capnp-oracle.ts';

const roundMs = 100;
const rounds = 15;

/** A browser's request, as an edge hands it on. */
const request = {
  dest: 'https://app.example.com/articles/2026/11/index.html?ref=feed&page=2',
  type: 'http',
  metadata: [
    ...['HttpMethod', 'GET', 'HttpHost', 'app.example.com', 'HttpHeader:Accept', 'text/html,application/xhtml+xml'],
    ...['HttpHeader:Accept-Encoding', 'gzip, deflate, br', 'HttpHeader:Accept-Language', 'en-GB,en;q=0.5'],
    ...['HttpHeader:Cf-Connecting-Ip', '203.0.113.77', 'HttpHeader:Cf-Ray', '8f00c0ffee15dead-LHR'],
    ...['HttpHeader:Cf-Visitor', '{"scheme":"https"}', 'HttpHeader:Cookie', `session=${'a1b2c3d4'.repeat(12)}`],
    ...['HttpHeader:Referer', 'https://app.example.com/articles/', 'HttpHeader:Sec-Fetch-Mode', 'navigate'],
    ...['HttpHeader:User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
    ...['HttpHeader:X-Forwarded-For', '203.0.113.77', 'HttpHeader:X-Forwarded-Proto', 'https'],
  ],
} as const;
const response = {
  error: '',
  metadata: [
    ...['HttpStatus', '200', 'HttpHeader:Content-Type', 'text/html; charset=utf-8', 'HttpHeader:Server', 'nginx'],
    ...['HttpHeader:Content-Length', '23', 'HttpHeader:Date', 'Sat, 21 Nov 2026 21:37:04 GMT'],
    ...['HttpHeader:Etag', '"66e0-17"', 'HttpHeader:Cache-Control', 'max-age=60'],
  ],
} as const;

/** Nanoseconds of CPU time a call, the best of some rounds. */
function measure(work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    const used = process.cpuUsage();
    let calls = 0;
    while (performance.now() - start < roundMs) {
      for (let index = 0; index < 200; index += 1) work();
      calls += 200;
    }
    best = Math.min(best, (process.cpuUsage(used).user / calls) * 1e3);
  }
  return best;
}

function compare(name: string, ours: () => unknown, theirs: () => unknown): void {
  const ourNs = measure(ours);
  const theirNs = measure(theirs);
  const columns = [name.padEnd(16), ourNs.toFixed(0).padStart(8), theirNs.toFixed(0).padStart(10)];
  console.log(`${columns.join('')}${(theirNs / ourNs).toFixed(1).padStart(8)}x`);
}

const requestBytes = encodeConnectRequest(request);
const responseBytes = encodeConnectResponse(response);
const headBytes = Buffer.concat([Buffer.from('0a36cd12a13e3031', 'hex'), requestBytes]);
const head = decodeRequestHead(headBytes, measureStreamHead(headBytes));

console.log('                 ours ns  library ns   ratio');
compare(
  'request encode',
  () => encodeConnectRequest(request),
  () => oracleEncodeRequest(request),
);
compare(
  'request decode',
  () => decodeConnectRequest(requestBytes, 0, requestBytes.length),
  () => oracleDecodeRequest(requestBytes),
);
compare(
  'response encode',
  () => encodeConnectResponse(response),
  () => oracleEncodeResponse(response),
);
compare(
  'response decode',
  () => decodeConnectResponse(responseBytes, 0, responseBytes.length),
  () => oracleDecodeResponse(responseBytes),
);
console.log(
  `head encode     ${measure(() => encodeRequestHead(head))
    .toFixed(0)
    .padStart(8)}`,
);
const decodeHead = (): unknown => decodeRequestHead(headBytes, measureStreamHead(headBytes));
console.log(`head decode     ${measure(decodeHead).toFixed(0).padStart(8)}`);
