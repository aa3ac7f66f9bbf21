// Bulk over a long way: MB/s through one HTTP/2 connection with 25 ms of delay each way, both directions. Prints; no assertion.
// `node test/bench/round-trip.ts [mebibytes]`.

import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { PosternError } from '../../internal/errors/error.ts';
import { dialHttp2 } from '../../internal/transport/http2/dial.ts';
import { listenHttp2 } from '../../internal/transport/http2/listen.ts';
import type { EdgeConnection, RequestHead } from '../../internal/transport/transport.ts';
import { streamsOnly } from '../support/streams-only.ts';
import { openTcpRelay } from '../support/tcp-relay.ts';
import { createTestCa } from '../support/test-ca.ts';

const oneWayMs = 25;
const totalBytes = Number(process.argv[2] ?? 256) << 20;
const head: RequestHead = {
  kind: 'tcp',
  method: 'GET',
  scheme: 'https',
  host: '10.0.0.1:80',
  path: '/',
  headers: [],
  bodyLength: -1,
};

async function send(body: Duplex): Promise<void> {
  const chunk = Buffer.alloc(256 * 1024, 7);
  for (let left = totalBytes; left > 0; left -= chunk.length) if (!body.write(chunk)) await once(body, 'drain');
  body.end();
}

function receive(body: Duplex): Promise<void> {
  body.resume();
  return new Promise((resolve, reject) => {
    body.once('end', resolve);
    body.once('close', () => reject(new Error('the stream broke off')));
  });
}

async function timed(title: string, sender: Duplex, receiver: Duplex): Promise<void> {
  const started = performance.now();
  await Promise.all([send(sender), receive(receiver)]);
  const seconds = (performance.now() - started) / 1000;
  console.log(`${title.padEnd(10)} ${(totalBytes / 1e6 / seconds).toFixed(0)} MB/s at ${2 * oneWayMs} ms round trip`);
}

const serverName = 'h2.cftunnel.com';
const ca = await createTestCa();
const accepted = Promise.withResolvers<EdgeConnection>();
const listener = await listenHttp2({
  host: '127.0.0.1',
  port: 0,
  ...(await ca.issue([serverName])),
  onConnection: accepted.resolve,
});
const relay = await openTcpRelay(listener.address, oneWayMs);
const connector = await dialHttp2({
  host: '127.0.0.1',
  port: relay.port,
  ca: [ca.cert],
  serverName,
  timeoutMs: 10_000,
});
const edge = await accepted.promise;
const incoming = Promise.withResolvers<Duplex>();
connector.serve(
  streamsOnly(stream => {
    stream.respond({ status: 200, headers: [] });
    incoming.resolve(stream.body);
  }),
);
const outgoing = edge.request(head);
await outgoing.response;
const atConnector = await incoming.promise;
await timed('download', atConnector, outgoing.body);
await timed('upload', outgoing.body, atConnector);
const over = new PosternError('connection.closed', 'The measurement is over.');
edge.abort(over);
connector.abort(over);
await listener.close();
await relay.close();
