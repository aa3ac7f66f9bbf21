// The visitors' listeners without what stands behind them: time-outs, and the end.

import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { temporaryDirectory } from '../../../test/support/program.ts';
import { RawVisitor } from '../../../test/support/raw-visitor.ts';
import { until, within } from '../../../test/support/wait.ts';
import { openCertificates } from '../../certificates/open-certificates.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { openPublicServer, type PublicServerOptions } from './server.ts';

async function open(t: TestContext, options: Partial<PublicServerOptions> = {}) {
  const certificates = await openCertificates({
    stateDir: await temporaryDirectory(t),
    names: ['127.0.0.1'],
    visitorDomains: ['example.test'],
    logger: silentLogger(),
  });
  const server = await openPublicServer({
    host: '127.0.0.1',
    httpPort: undefined,
    httpsPort: 0,
    certificates,
    logger: silentLogger(),
    handle: (_request, response) => response.start(204, [], { hasBody: false }),
    timeouts: { headersMs: 400, stallMs: 400, streamStallMs: 400, heldMs: 60_000, keepAliveMs: 800 },
    ...options,
  });
  t.after(async () => {
    await within('the listeners to end', server.drain(0));
    await certificates.close();
  });
  const ca = certificates.caPem;
  const tls = (protocol: string): TLSSocket => {
    const socket = connect({
      port: server.httpsPort ?? 0,
      host: '127.0.0.1',
      ca,
      servername: 'app.example.test',
      ALPNProtocols: [protocol],
    });
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    return socket;
  };
  const http2 = (): ClientHttp2Session => {
    const session = connectHttp2(`https://app.example.test:${server.httpsPort}`, { createConnection: () => tls('h2') });
    session.on('error', () => undefined);
    return session;
  };
  return { server, tls, http2 };
}

/** Writes something again and again until the socket closes; returns what came back. */
async function dribble(socket: TLSSocket, start: string | Buffer, rest: string | Buffer): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.write(start);
  const timer = setInterval(() => socket.write(rest), 50);
  try {
    await until('the end of the connection', () => socket.closed || socket.readableEnded);
  } finally {
    clearInterval(timer);
  }
  return text;
}

/** Client preface, empty SETTINGS, and a HEADERS frame for stream 1 without END_HEADERS. */
const unfinishedHead = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]),
]);
const ping = Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);

describe('the listeners of visitors', () => {
  it('cut off a head that comes slowly, where only TLS is listened for too', async t => {
    const { tls } = await open(t);
    assert.match(await dribble(tls('http/1.1'), 'GET / HTTP/1.1\r\nHost: app', 'a'), /^HTTP\/1\.1 408 /);
  });

  it('cut off a TLS handshake that does not begin', async t => {
    const { server } = await open(t);
    const visitor = await RawVisitor.open(t, server.httpsPort ?? 0);
    await until('the end of the connection', () => visitor.closed || visitor.socket.readableEnded);
  });

  it('cut off an HTTP/2 visitor whose head never completes', async t => {
    const { tls } = await open(t);
    // An empty CONTINUATION each time; nghttp2 ends the session when they are many.
    await dribble(tls('h2'), unfinishedHead, Buffer.from([0, 0, 0, 9, 0, 0, 0, 0, 1]));
    await dribble(tls('h2'), unfinishedHead, '');
  });

  it('end an HTTP/2 session without requests although it pings', async t => {
    const { tls } = await open(t);
    await dribble(tls('h2'), unfinishedHead.subarray(0, 33), ping);
  });

  it('end a session that resets its streams as fast as it opens them', { timeout: 60_000 }, async t => {
    let handled = 0;
    const { http2 } = await open(t, {
      handle: () => {
        handled += 1;
      },
    });
    const session = http2();
    let goaway = false;
    session.on('goaway', () => {
      goaway = true;
    });
    for (let round = 0; round < 200 && !session.destroyed; round += 1) {
      for (let index = 0; index < 50 && !session.destroyed; index += 1) {
        const stream = session.request({ ':path': '/' });
        stream.on('error', () => undefined);
        stream.close(8);
      }
      await new Promise(resolve => setImmediate(resolve));
    }
    await until('the end of the session', () => goaway || session.destroyed);
    session.destroy();
    assert.ok(handled < 5_000, `${handled} requests were handled`);
  });

  it('drain: idle connections end at once, running requests finish', async t => {
    const answers: (() => void)[] = [];
    const { server, http2 } = await open(t, {
      httpPort: 0,
      timeouts: { headersMs: 20_000, stallMs: 20_000, streamStallMs: 20_000, heldMs: 60_000, keepAliveMs: 20_000 },
      handle: (_request, response) => answers.push(() => response.start(204, [], { hasBody: false })),
    });
    const idle = await RawVisitor.open(t, server.httpPort ?? 0);
    const busy = await RawVisitor.open(t, server.httpPort ?? 0);
    busy.send('GET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n');
    const idleSession = http2();
    const busySession = http2();
    const stream = busySession.request({ ':path': '/' });
    let status = 0;
    stream.on('response', headers => {
      status = headers[':status'] ?? 0;
    });
    await until('both requests', () => answers.length === 2);
    const drained = server.drain(10_000);
    await until('the end of what is idle', () => idle.closed || idle.socket.readableEnded);
    await until('the end of the idle session', () => idleSession.destroyed);
    assert.ok(!busy.closed && !busySession.destroyed);
    for (const answer of answers) answer();
    await within('the end', drained, 5_000);
    assert.deepEqual(busy.statuses, [204]);
    await until('the answer over HTTP/2', () => status === 204);
  });

  it('close the first listener when the second cannot be opened', async t => {
    const { server } = await open(t, { httpPort: 0 });
    const taken = server.httpsPort ?? 0;
    await assert.rejects(open(t, { httpPort: 0, httpsPort: taken }), { code: 'listen.failed' });
  });
});
