import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  performServerHandshake,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { type TransportPair, transportConformance } from '../../../test/conformance/transport.ts';
import { streamsOnly } from '../../../test/support/streams-only.ts';
import { openTcpRelay } from '../../../test/support/tcp-relay.ts';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { until } from '../../../test/support/wait.ts';
import { PosternError } from '../../errors/error.ts';
import { spkiPin } from '../../net/trust/spki-pin.ts';
import { heldEndMs } from '../held-end.ts';
import type { EdgeConnection, IncomingStream, RequestHead } from '../transport.ts';
import { dialHttp2 } from './dial.ts';
import { controlRequest, decodeRequestHead, encodeRequestHead } from './head.ts';
import { listenHttp2 } from './listen.ts';

const serverName = 'h2.cftunnel.com';
const authority = createTestCa();

async function open(): Promise<TransportPair> {
  const ca = await authority;
  const { key, cert } = await ca.issue([serverName]);
  const accepted = Promise.withResolvers<EdgeConnection>();
  const listener = await listenHttp2({ host: '127.0.0.1', port: 0, key, cert, onConnection: accepted.resolve });
  const relay = await openTcpRelay(listener.address);
  const connector = await dialHttp2({
    host: '127.0.0.1',
    port: relay.port,
    ca: [ca.cert],
    serverName,
    timeoutMs: 10_000,
  });
  const edge = await accepted.promise;
  const over = new PosternError('connection.closed', 'The test is over.');
  return {
    edge,
    connector,
    vanish: relay.freeze,
    close: async () => {
      edge.abort(over);
      connector.abort(over);
      await Promise.all([edge.closed, connector.closed, listener.close()]);
      await relay.close();
    },
  };
}

transportConformance('http2', open, { datagrams: false });

describe('http2', () => {
  it('thinks of the clock, and of no new token, when the certificate of the edge is not valid now', async t => {
    const ca = await createTestCa('Old CA', 0);
    const { key, cert } = await ca.issue([serverName]);
    const listener = await listenHttp2({ host: '127.0.0.1', port: 0, key, cert, onConnection: () => undefined });
    t.after(() => listener.close());
    for (const trust of [{ ca: [ca.cert] }, { ca: undefined, caPin: spkiPin(new X509Certificate(ca.cert)) }]) {
      const dialled = dialHttp2({
        ...trust,
        host: '127.0.0.1',
        port: listener.address.port,
        serverName,
        timeoutMs: 10_000,
      });
      await assert.rejects(dialled, (error: Error) => {
        assert.match(error.message, /check the clock of this machine, which says 20/);
        assert.doesNotMatch(error.message, /token/);
        return true;
      });
    }
  });

  it('tells the connector of a drain at the edge at once, while a request still runs', async () => {
    const { edge, connector, close } = await open();
    const incoming = Promise.withResolvers<IncomingStream>();
    connector.serve(streamsOnly(incoming.resolve));
    await connector.control;
    const sent = edge.request({
      kind: 'http',
      method: 'GET',
      scheme: 'https',
      host: 'a.example',
      path: '/',
      headers: [],
      bodyLength: 0,
    });
    const running = await incoming.promise;
    const drained = edge.drain(10_000);
    await connector.goingAway;
    running.respond({ status: 200, headers: [] });
    running.body.end('whole');
    assert.equal((await sent.response).status, 200);
    let text = '';
    for await (const chunk of sent.body) text += chunk;
    assert.equal(text, 'whole');
    await drained;
    assert.deepEqual(await connector.closed, { orderly: true });
    await close();
  });

  it('is rid of a refused stream although the edge leaves it open', async () => {
    const ca = await authority;
    const accepted = Promise.withResolvers<ClientHttp2Session>();
    const server = createTlsServer(await ca.issue([serverName]), socket =>
      accepted.resolve(connectHttp2('https://connector', { createConnection: () => socket })),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const connector = await dialHttp2({ host: '127.0.0.1', port, ca: [ca.cert], serverName, timeoutMs: 10_000 });
    connector.serve(streamsOnly(incoming => incoming.refuse({ message: 'no' })));
    const session = await accepted.promise;
    session.on('error', () => undefined);
    const control = session.request([...controlRequest], { endStream: false });
    control.on('error', () => undefined);
    await connector.control;
    for (const kind of ['tcp', 'websocket', 'http'] as const) {
      const head = { method: 'POST', scheme: 'https', host: '10.0.0.1:1', path: '/', headers: [], bodyLength: -1 };
      const stream = session.request(encodeRequestHead({ ...head, kind }), { endStream: false });
      stream.on('error', () => undefined).resume();
      const [answer] = (await once(stream, 'response')) as [{ ':status': number }];
      assert.equal(answer[':status'], 502);
      await until(`the ${kind} stream to close`, () => connector.openStreams === 0);
    }
    connector.abort(new PosternError('connection.closed', 'The test is over.'));
    await connector.closed;
    session.destroy();
    server.close();
  });

  it('knows the negotiated group at the connector, and the round trip after a ping', async () => {
    const { connector, close } = await open();
    assert.equal(connector.stats().group, 'X25519MLKEM768');
    const rttMs = await connector.ping?.(5_000);
    assert.equal(connector.stats().rttMs, rttMs);
    assert.ok((connector.stats().sentBytes ?? 0) > 0 && (connector.stats().receivedBytes ?? 0) > 0);
    await close();
  });
});

describe('our edge with a stock connector over HTTP/2', () => {
  /** A connector that announces nothing of half-close; gives its next request stream of that path. */
  async function stockConnector(t: TestContext) {
    const ca = await authority;
    const { key, cert } = await ca.issue([serverName]);
    const accepted = Promise.withResolvers<EdgeConnection>();
    const listener = await listenHttp2({ host: '127.0.0.1', port: 0, key, cert, onConnection: accepted.resolve });
    const socket = connectTls({ port: listener.address.port, host: '127.0.0.1', ca: ca.cert, servername: serverName });
    const session = performServerHandshake(socket);
    session.on('error', () => undefined);
    const request = Promise.withResolvers<ServerHttp2Stream>();
    session.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      if (headers[':authority'] === tcp.host) request.resolve(stream);
    });
    const edge = await accepted.promise;
    t.after(async () => {
      edge.abort(new PosternError('connection.closed', 'The test is over.'));
      await Promise.all([edge.closed, listener.close()]);
      session.destroy();
    });
    return { edge, request: request.promise };
  }
  const tcp: RequestHead = {
    kind: 'tcp',
    method: 'GET',
    scheme: 'https',
    host: '10.1.2.3:1',
    path: '/',
    headers: [],
    bodyLength: -1,
  };

  it('holds the end of a request on tcp back until the answer ended', async t => {
    const { edge, request } = await stockConnector(t);
    const outgoing = edge.request(tcp);
    outgoing.body.write('quest');
    outgoing.body.end('ion');
    const far = await request;
    far.respond({ ':status': 200, 'cf-cloudflared-response-meta': '{"src":"origin"}' });
    await outgoing.response;
    let question = '';
    let ended = false;
    far.on('data', chunk => {
      question += chunk;
    });
    far.once('end', () => {
      ended = true;
    });
    const answer = text(outgoing.body);
    far.write('first ');
    await until('the request', () => question === 'question');
    await edge.ping(5_000);
    await edge.ping(5_000);
    assert.equal(ended, false);
    far.end('and last');
    assert.equal(await answer, 'first and last');
    await until('the end', () => ended);
    await until('the stream to close', () => edge.openStreams === 0);
  });

  it('sends the end when nothing of the answer comes for a while', async t => {
    const { edge, request } = await stockConnector(t);
    const outgoing = edge.request(tcp);
    const far = await request;
    far.respond({ ':status': 200, 'cf-cloudflared-response-meta': '{"src":"origin"}' });
    await outgoing.response;
    t.mock.timers.enable({ apis: ['setTimeout'] });
    outgoing.body.end('question');
    t.mock.timers.tick(heldEndMs);
    t.mock.timers.reset();
    assert.equal(await text(far), 'question');
    far.end('answer');
    assert.equal(await text(outgoing.body), 'answer');
  });
});

describe('heads of other makes', () => {
  it('have their cookies joined, which HTTP/2 clients may send one by one', () => {
    const pseudo = [':method', 'GET', ':scheme', 'https', ':authority', 'app.example.com', ':path', '/'];
    const head = decodeRequestHead([...pseudo, 'cookie', 'a=1', 'x-y', 'z', 'cookie', 'b=2', 'cookie', 'c=3'], true);
    assert.ok(typeof head === 'object');
    assert.deepEqual(head.headers, ['cookie', 'a=1; b=2; c=3', 'x-y', 'z']);
  });
});
