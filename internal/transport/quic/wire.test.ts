// The QUIC transport's bytes and endings against stock peers: the recorded conversations played against each end, and
// the rules of docs/protocol/edge-protocol.md §9.2–9.3 with a bare QUIC connection as the other end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import {
  Collector,
  duplexOf,
  Later,
  portOf,
  quicIdentity,
  quicName,
  quiet,
  readAll,
} from '../../../test/support/quic-pair.ts';
import { readVector, readVectors, sentBy } from '../../../test/support/vectors.ts';
import { within } from '../../../test/support/wait.ts';
import { isPosternError } from '../../errors/error.ts';
import type { QuicConnection } from '../../quic/connection.ts';
import { QuicDuplex } from '../../quic/duplex.ts';
import { openEndpoint } from '../../quic/endpoint.ts';
import { ConnectorClient } from '../../rpc/connector-client.ts';
import { rpcPreamble } from '../../wire/stream/preamble.ts';
import {
  decodeRequestHead,
  decodeResponseHead,
  encodeRequestHead,
  encodeResponseHead,
  measureStreamHead,
} from '../../wire/stream/stream-head.ts';
import type { ConnectorConnection, EdgeConnection, IncomingStream, RequestHead } from '../transport.ts';
import { dialQuic } from './dial.ts';
import { listenQuic } from './listen.ts';

const get: RequestHead = {
  kind: 'http',
  method: 'GET',
  scheme: 'https',
  host: 'app.example.com',
  path: '/',
  headers: [],
  bodyLength: 0,
};
const tcp: RequestHead = { ...get, kind: 'tcp', host: '10.0.0.1:22', bodyLength: -1 };

/** Our connector at a bare edge. */
async function stockEdge(test: TestContext): Promise<{
  edge: QuicConnection;
  atEdge: Collector;
  connector: ConnectorConnection;
  next: () => Promise<IncomingStream>;
}> {
  const { ca, identity } = await quicIdentity();
  const accepted = new Later<QuicConnection>();
  const endpoint = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], identity }, accepted.resolve);
  test.after(() => endpoint.close());
  const connector = await dialQuic({
    host: '127.0.0.1',
    port: portOf(endpoint),
    ca: [ca.cert],
    serverName: quicName,
    timeoutMs: 10_000,
  });
  test.after(() => connector.drain(0));
  const edge = await accepted.promise;
  const atEdge = new Collector();
  edge.serve(atEdge);
  const streams: IncomingStream[] = [];
  const waiters: ((stream: IncomingStream) => void)[] = [];
  connector.serve({
    stream: incoming => {
      const waiter = waiters.shift();
      if (waiter === undefined) streams.push(incoming);
      else waiter(incoming);
    },
    configure: async ({ version }) => ({ version, error: undefined }),
  });
  const next = (): Promise<IncomingStream> => {
    const ready = streams.shift();
    return ready === undefined ? new Promise(resolve => waiters.push(resolve)) : Promise.resolve(ready);
  };
  return { edge, atEdge, connector, next };
}

/** Our edge with a bare connector. */
async function stockConnector(
  test: TestContext,
): Promise<{ edge: EdgeConnection; connector: QuicConnection; atConnector: Collector }> {
  const { ca, identity } = await quicIdentity();
  const accepted = new Later<EdgeConnection>();
  const listener = listenQuic({ host: '127.0.0.1', port: 0, ...identity, onConnection: accepted.resolve });
  test.after(() => listener.close());
  const endpoint = openEndpoint({ bind: '127.0.0.1:0', alpn: ['argotunnel'], roots: [ca.cert] });
  test.after(() => endpoint.close());
  const connector = await endpoint.connect({
    address: '127.0.0.1',
    port: listener.address.port,
    serverName: quicName,
    timeoutMs: 10_000,
  });
  const atConnector = new Collector();
  connector.serve(atConnector);
  return { edge: await accepted.promise, connector, atConnector };
}

const closed = (stream: { closed: boolean; once(event: 'close', done: () => void): unknown }): Promise<void> =>
  within('the stream closes', new Promise(resolve => (stream.closed ? resolve() : stream.once('close', resolve))));

/** Bytes of a duplex until so many came. */
async function readBytes(stream: QuicDuplex, count: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  while (length < count) {
    const part = stream.read() as Buffer | null;
    if (part === null) await once(stream, 'readable');
    else {
      parts.push(part);
      length += part.length;
    }
  }
  return Buffer.concat(parts);
}

const recorded = readVectors('quic-datagram-v2').filter(entry => /^quic-(http|websocket|tcp|ws)/.test(entry.name));

describe('recorded QUIC conversations', () => {
  it('cover http, websocket and tcp', () => {
    assert.ok(recorded.length >= 8, recorded.map(entry => entry.name).join());
  });

  for (const entry of recorded) {
    it(`${entry.name}: our connector understands the edge, byte by byte, and answers as the recorded one`, async t => {
      const { edge, next } = await stockEdge(t);
      const asked = sentBy(entry, 'edge');
      const answered = sentBy(entry, 'connector');
      const stream = quiet(new QuicDuplex(edge.openStream(), { onStop: 'discard' }));
      // One byte a packet is the worst that can happen to a head.
      const headLength = measureAll(asked);
      for (const byte of asked.subarray(0, headLength)) {
        stream.write(Buffer.from([byte]));
        // What one turn of the event loop writes leaves in packets of its own.
        await new Promise(resolve => setImmediate(resolve));
      }
      stream.write(asked.subarray(headLength));
      const incoming = await within('the request arrives', next());
      const answerLength = measureAll(answered);
      const answer = decodeResponseHead(decodeRequestHead(asked, headLength).kind, answered, answerLength);
      if (answer.kind === 'refusal') incoming.refuse(answer);
      else {
        incoming.respond(answer);
        incoming.body.end(answered.subarray(answerLength));
      }
      const bytes = await within('the answer arrives', readAll(stream));
      // Keys come in any order on the wire, so heads are compared as sets of words of equal length.
      const length = measureAll(bytes);
      assert.ok(bytes.subarray(length).equals(answered.subarray(answerLength)));
      assert.deepEqual(sortedTexts(bytes.subarray(0, length)), sortedTexts(answered.subarray(0, answerLength)));
    });

    it(`${entry.name}: our edge understands the connector`, async t => {
      const { edge, atConnector } = await stockConnector(t);
      const asked = decodeRequestHead(sentBy(entry, 'edge'), measureAll(sentBy(entry, 'edge')));
      const outgoing = edge.request({ ...asked, kind: asked.kind });
      const far = await within('the request arrives', atConnector.nextDuplex());
      const answered = sentBy(entry, 'connector');
      const body = readAll(outgoing.body);
      body.catch(() => undefined);
      far.write(answered.subarray(0, 1));
      far.end(answered.subarray(1));
      const answer = decodeResponseHead(asked.kind, answered, measureAll(answered));
      if (answer.kind === 'refusal') {
        await assert.rejects(outgoing.response, error => isPosternError(error) && error.message === answer.message);
        return;
      }
      const response = await within('the response arrives', outgoing.response);
      assert.deepEqual([response.status, response.headers], [answer.status, answer.headers]);
      assert.ok((await body).equals(answered.subarray(measureAll(answered))));
    });
  }

  it('the control stream carries the RPC bare, as the first stream of the connector', async t => {
    const entry = readVector('quic-datagram-v2', 'quic-control-stream-1');
    const sent = sentBy(entry, 'connector');
    const first = await stockEdge(t);
    const control = await first.connector.control;
    control.write(sent);
    const far = await first.atEdge.nextDuplex();
    assert.equal(far.stream.id, 0);
    assert.ok((await readBytes(far, sent.length)).equals(sent));

    const second = await stockConnector(t);
    duplexOf(second.connector).write(sent);
    assert.ok((await readBytes(second.edge.control as QuicDuplex, sent.length)).equals(sent));
    second.edge.control.write('reply');
  });
});

/** Length of the head at the beginning of `bytes`. */
function measureAll(bytes: Buffer): number {
  const length = measureStreamHead(bytes);
  return length <= bytes.length ? length : measureStreamHead(bytes.subarray(0, length));
}

/** The texts of a head in order of their bytes. */
function sortedTexts(head: Buffer): string[] {
  return [...head.toString('latin1').matchAll(/[ -~]{3,}/g)].map(match => match[0]).sort();
}

describe('our connector with a stock edge', () => {
  it('resets a stream that begins with anything else, with code 0 both ways', async t => {
    const { edge } = await stockEdge(t);
    const stream = edge.openStream();
    const over = new Later<void>();
    stream.listener = {
      onReadable: () => {
        stream.read();
        if (stream.readState !== 'open' && stream.stopCode !== undefined) over.resolve();
      },
      onWritable: () => undefined,
      onStopped: () => {
        if (stream.readState !== 'open') over.resolve();
      },
      onLost: () => undefined,
    };
    stream.write(Buffer.from('GET / HTTP/1.1\r\n'), false);
    await within('the stream is refused', over.promise);
    assert.deepEqual([stream.readState, stream.resetCode, stream.stopCode], ['reset', 0, 0]);
  });

  it('answers a head that it cannot understand with the reason', async t => {
    const { edge } = await stockEdge(t);
    const stream = duplexOf(edge);
    const head = encodeRequestHead({ ...get, kind: 'http', headers: ['X-Bad', 'v'] });
    // `HttpHeader:X-Bad` → `HttpHeader:X:Bad`: two colons.
    head[head.indexOf('X-Bad') + 1] = ':'.charCodeAt(0);
    stream.end(head);
    assert.match((await readAll(stream)).toString('latin1'), /header Key: HttpHeader:X:Bad malformed/);
  });

  it('ends the answer with FIN and stops what is left of the request', async t => {
    const { edge, next } = await stockEdge(t);
    const stream = edge.openStream();
    const duplex = quiet(new QuicDuplex(stream, { onStop: 'discard' }));
    duplex.write(encodeRequestHead({ ...get, kind: 'http', bodyLength: -1 }));
    const incoming = await next();
    incoming.respond({ status: 413, headers: [] });
    incoming.body.end('no');
    assert.match((await readAll(duplex)).toString('latin1'), /no$/);
    await closed(duplex);
    assert.equal(stream.stopCode, 0);
  });

  it('ends a whole tcp stream when either direction ends, as the recorded connector does', async t => {
    const { edge, next } = await stockEdge(t);
    const byEdge = duplexOf(edge);
    byEdge.end(encodeRequestHead({ ...tcp, kind: 'tcp' }));
    const first = await next();
    first.respond({ status: 200, headers: [] });
    first.body.resume();
    await within('the answer ends', readAll(byEdge));

    const byOrigin = quiet(new QuicDuplex(edge.openStream(), { onStop: 'discard' }));
    byOrigin.write(encodeRequestHead({ ...tcp, kind: 'tcp' }));
    const second = await next();
    second.respond({ status: 200, headers: [] });
    second.body.end('bye');
    assert.match((await readAll(byOrigin)).toString('latin1'), /bye$/);
    await closed(byOrigin);
    assert.equal(byOrigin.stream.stopCode, 0);
  });

  it('resets with code 0 when it fails after the response', async t => {
    const { edge, next } = await stockEdge(t);
    const duplex = duplexOf(edge);
    duplex.end(encodeRequestHead({ ...get, kind: 'http' }));
    const incoming = await next();
    incoming.respond({ status: 200, headers: [] });
    incoming.body.write('half');
    incoming.refuse({ message: 'too late' });
    duplex.resume();
    await closed(duplex);
    assert.deepEqual([duplex.stream.readState, duplex.stream.resetCode], ['reset', 0]);
  });

  it('serves RPC streams, whose signature may come in pieces', async t => {
    const { edge } = await stockEdge(t);
    const stream = duplexOf(edge);
    stream.write(rpcPreamble.slice(0, 3));
    await edge.ping();
    stream.write(rpcPreamble.slice(3));
    const client = new ConnectorClient(stream, { timeoutMs: 10_000 });
    t.after(() => client.close());
    const result = await client.updateConfiguration({ version: 7, config: Buffer.from('{}') });
    assert.deepEqual(result, { latestAppliedVersion: 7, error: '' });
  });

  it('refuses new streams while it drains, and says that nothing was done', async t => {
    const { edge, connector, next } = await stockEdge(t);
    const running = duplexOf(edge);
    running.end(encodeRequestHead({ ...get, kind: 'http' }));
    const incoming = await next();
    const drained = connector.drain(10_000);
    const late = duplexOf(edge);
    late.end(encodeRequestHead({ ...get, kind: 'http' }));
    late.resume();
    await closed(late);
    assert.equal(late.stream.resetCode, 1);
    incoming.respond({ status: 204, headers: [] }, { endStream: true });
    await readAll(running);
    await drained;
  });
});

describe('our edge with a stock connector', () => {
  it('holds a FIN on tcp back until the answer ended', async t => {
    const { edge, atConnector } = await stockConnector(t);
    const outgoing = edge.request(tcp);
    outgoing.body.end('question');
    const far = await atConnector.nextDuplex();
    far.write(encodeResponseHead('tcp', { status: 200, headers: [] }));
    await outgoing.response;
    let ended = false;
    far.resume().once('end', () => {
      ended = true;
    });
    const answer = readAll(outgoing.body);
    far.write('first ');
    await edge.ping(5_000);
    await edge.ping(5_000);
    assert.equal(ended, false);
    far.end('and last');
    assert.equal((await answer).toString(), 'first and last');
    if (!ended) await within('the FIN follows', once(far, 'end'));
  });

  it('reads the whole answer of a connector that stops the request', async t => {
    const { edge, atConnector } = await stockConnector(t);
    const outgoing = edge.request({ ...get, method: 'POST', bodyLength: -1 });
    outgoing.body.write('beginning');
    const far = await atConnector.next();
    far.stop(0);
    const answer = Buffer.concat([encodeResponseHead('http', { status: 200, headers: [] }), Buffer.from('whole')]);
    assert.equal(far.write(answer, true), answer.length);
    assert.equal((await outgoing.response).status, 200);
    assert.equal((await readAll(outgoing.body)).toString(), 'whole');
    await closed(outgoing.body);
  });

  it('tells a refusal for draining from a reset', async t => {
    const { edge, atConnector } = await stockConnector(t);
    for (const [code, expected] of [
      [1, 'connection.closed'],
      [0, 'stream.reset'],
    ] as const) {
      const outgoing = edge.request(get);
      (await atConnector.next()).reset(code);
      await assert.rejects(outgoing.response, error => isPosternError(error, expected));
    }
  });

  it('takes an answer that is garbage as a failure', async t => {
    const { edge, atConnector } = await stockConnector(t);
    const outgoing = edge.request(get);
    (await atConnector.next()).write(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), true);
    await assert.rejects(outgoing.response, error => isPosternError(error, 'protocol.malformed'));
  });

  it('hands over RPC streams of the connector, and refuses its other streams', async t => {
    const { edge, connector } = await stockConnector(t);
    edge.acceptRpc(stream => stream.pipe(stream));
    duplexOf(connector).write('control');
    const rpc = duplexOf(connector);
    rpc.end(Buffer.concat([rpcPreamble, Buffer.from('unregister')]));
    assert.equal((await readAll(rpc)).toString(), 'unregister');
    const request = duplexOf(connector);
    request.write(encodeRequestHead({ ...get, kind: 'http' }));
    request.resume();
    await closed(request);
    assert.equal(request.stream.resetCode, 0);
  });
});
