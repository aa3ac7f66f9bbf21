// What every transport must do, as one suite over a pair of connected ends. A variant's test file calls
// `transportConformance` with how to open a pair.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { isPosternError, PosternError } from '../../internal/errors/error.ts';
import type {
  ConnectorConnection,
  ConnectorHandler,
  EdgeConnection,
  IncomingStream,
  OutgoingStream,
  RequestHead,
} from '../../internal/transport/transport.ts';
import type { ConfigurationAnswer, PushedConfiguration } from '../../internal/wire/stream/configuration-request.ts';
import { until, within } from '../support/wait.ts';

export interface TransportPair {
  readonly edge: EdgeConnection;
  readonly connector: ConnectorConnection;
  /** Make the network swallow everything from now on, without a word; undefined where there is no network in between. */
  readonly vanish: (() => void) | undefined;
  close(): Promise<void>;
}

export interface TransportTraits {
  readonly datagrams: boolean;
}

const get: RequestHead = {
  kind: 'http',
  method: 'GET',
  scheme: 'https',
  host: 'app.example.com',
  path: '/a?b=1',
  headers: [],
  bodyLength: 0,
};
const post: RequestHead = { ...get, method: 'POST', bodyLength: -1 };
const tcp: RequestHead = {
  ...get,
  kind: 'tcp',
  host: '10.1.2.3:5432',
  path: '/',
  bodyLength: -1,
  source: '192.0.2.7:4444',
};
const mebibyte = 1 << 20;

/** Everything until 'end'; rejects when the stream closes before. */
function readAll(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => resolve(Buffer.concat(chunks)));
    stream.once('close', () => reject(new Error(`closed without end after ${chunks.length} chunks`)));
  });
}

/** Counts what arrives until 'end'; rejects when the stream closes before. */
function count(stream: Readable): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.once('end', () => resolve(bytes));
    stream.once('close', () => reject(new Error(`closed without end after ${bytes} bytes`)));
  });
}

/** Writes until the stream accepts no more for a while; returns the bytes accepted. */
async function fill(stream: Writable, limitBytes: number): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024, 7);
  let written = 0;
  while (written < limitBytes) {
    written += chunk.length;
    if (stream.write(chunk)) continue;
    const stalled = new Promise<boolean>(resolve => setTimeout(resolve, 700, false));
    if (!(await Promise.race([once(stream, 'drain').then(() => true), stalled]))) return written;
  }
  return written;
}

/** Writes so many bytes and ends; `accepted` is told how many the stream has taken so far. */
async function send(stream: Writable, bytes: number, accepted?: (bytes: number) => void): Promise<void> {
  const chunk = Buffer.alloc(256 * 1024, 7);
  for (let left = bytes; left > 0; left -= chunk.length) {
    const goesOn = stream.write(left < chunk.length ? chunk.subarray(0, left) : chunk);
    accepted?.(bytes - left + chunk.length);
    if (!goesOn) await once(stream, 'drain');
  }
  stream.end();
}

/** Whether the stream closes without 'end': what a reset looks like to the reader. */
async function closesWithoutEnd(stream: Readable): Promise<boolean> {
  let ended = false;
  stream.once('end', () => {
    ended = true;
  });
  stream.on('error', () => undefined);
  stream.resume();
  if (!stream.closed) await within('the stream closes', new Promise(resolve => stream.once('close', resolve)));
  return !ended;
}

/** `open` is told whether the test needs `vanish`, for variants where a network in between is slow. */
export function transportConformance(
  name: string,
  open: (needs: { readonly vanish: boolean }) => Promise<TransportPair>,
  traits: TransportTraits,
): void {
  /** Opens a pair, serves `handler`, runs `body`, and closes whatever happens. */
  async function run(
    handler: (incoming: IncomingStream) => void,
    body: (pair: TransportPair) => Promise<void>,
    needs = { vanish: false },
    configure: ConnectorHandler['configure'] = () => Promise.resolve({ version: -1, error: 'no configurations here' }),
  ): Promise<void> {
    const pair = await open(needs);
    try {
      pair.connector.serve({ stream: handler, configure });
      await body(pair);
    } finally {
      await pair.close();
    }
  }

  /** A test over both ends of one stream. */
  function withStream(
    head: RequestHead,
    body: (outgoing: OutgoingStream, incoming: IncomingStream, pair: TransportPair) => Promise<void>,
  ): () => Promise<void> {
    return async () => {
      const first = Promise.withResolvers<IncomingStream>();
      await run(
        incoming => first.resolve(incoming),
        async pair => {
          const outgoing = pair.edge.request(head);
          await body(outgoing, await within('the stream arrives', first.promise), pair);
        },
      );
    };
  }

  describe(`transport conformance: ${name}`, () => {
    it(
      'carries head, repeated headers and body both ways',
      withStream({ ...post, headers: ['X-A', '1', 'x-a', '2', 'Cookie', 'a=b'] }, async (outgoing, incoming) => {
        assert.equal(incoming.head.kind, 'http');
        assert.equal(incoming.head.method, 'POST');
        assert.equal(incoming.head.host, 'app.example.com');
        assert.equal(incoming.head.path, '/a?b=1');
        assert.equal(incoming.head.bodyLength, -1);
        const names = incoming.head.headers.filter((_, index) => index % 2 === 0).map(header => header.toLowerCase());
        assert.equal(names.filter(header => header === 'x-a').length, 2);
        outgoing.body.end('question');
        assert.equal((await readAll(incoming.body)).toString(), 'question');
        incoming.respond({
          status: 203,
          headers: ['Content-Type', 'text/plain', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
        });
        incoming.body.end('answer');
        const response = await outgoing.response;
        assert.equal(response.status, 203);
        assert.deepEqual(
          response.headers.filter((value, index) => index % 2 === 1 && /^[ab]=/.test(value)),
          ['a=1', 'b=2'],
        );
        assert.equal((await readAll(outgoing.body)).toString(), 'answer');
      }),
    );

    it(
      'keeps headers of the protocol itself from the visitor',
      withStream(get, async (outgoing, incoming) => {
        const headers = ['Cf-Int-Secret', '1', 'X-Kept', '2', 'cf-cloudflared-response-meta', '3'];
        incoming.respond({ status: 200, headers }, { endStream: true });
        assert.deepEqual((await outgoing.response).headers, ['X-Kept', '2']);
      }),
    );

    it(
      'carries a response without a body',
      withStream(get, async (outgoing, incoming) => {
        assert.equal(incoming.head.bodyLength, 0);
        incoming.respond({ status: 204, headers: [] }, { endStream: true });
        assert.equal((await outgoing.response).status, 204);
        assert.equal((await readAll(outgoing.body)).length, 0);
      }),
    );

    it(
      'keeps status 101 for an accepted upgrade and carries raw bytes after it',
      withStream({ ...get, kind: 'websocket', bodyLength: -1 }, async (outgoing, incoming) => {
        assert.equal(incoming.head.kind, 'websocket');
        incoming.respond({
          status: 101,
          headers: ['Upgrade', 'websocket', 'Connection', 'Upgrade', 'Sec-WebSocket-Accept', 'x'],
        });
        assert.equal((await outgoing.response).status, 101);
        outgoing.body.write('ping');
        const [ping] = (await within('bytes arrive', once(incoming.body, 'data'))) as [Buffer];
        assert.equal(ping.toString(), 'ping');
        incoming.body.end('pong');
        outgoing.body.end();
        assert.equal((await readAll(outgoing.body)).toString(), 'pong');
      }),
    );

    it(
      'half-close by the edge loses nothing that the connector still sends',
      withStream(tcp, async (outgoing, incoming) => {
        assert.equal(incoming.head.kind, 'tcp');
        assert.equal(incoming.head.host, '10.1.2.3:5432');
        incoming.respond({ status: 200, headers: [] });
        outgoing.body.end('done');
        assert.equal((await readAll(incoming.body)).toString(), 'done');
        const received = count(outgoing.body);
        await send(incoming.body, 3 * mebibyte);
        assert.equal(await within('all bytes arrive', received), 3 * mebibyte);
      }),
    );

    it(
      'half-close by the connector loses nothing that the edge still sends',
      withStream(tcp, async (outgoing, incoming) => {
        incoming.respond({ status: 200, headers: [] });
        incoming.body.end('done');
        assert.equal((await readAll(outgoing.body)).toString(), 'done');
        const received = count(incoming.body);
        await send(outgoing.body, 3 * mebibyte);
        assert.equal(await within('all bytes arrive', received), 3 * mebibyte);
      }),
    );

    it(
      'a refusal before the response names its kind',
      withStream(get, async (outgoing, incoming) => {
        incoming.refuse({ message: 'Unable to reach the origin service.' });
        await assert.rejects(outgoing.response, error => isPosternError(error, 'origin.unreachable'));
      }),
    );

    it(
      'a refusal for the flow limit is told apart',
      withStream(tcp, async (outgoing, incoming) => {
        incoming.refuse({ message: 'too many active flows', rateLimited: true });
        await assert.rejects(outgoing.response, error => isPosternError(error, 'flow.limit'));
      }),
    );

    it(
      'a reset by the edge closes the stream at the connector without an end',
      withStream(post, async (outgoing, incoming) => {
        outgoing.body.write('some');
        await within('bytes arrive', once(incoming.body, 'data'));
        outgoing.reset();
        assert.equal(await closesWithoutEnd(incoming.body), true);
        await assert.rejects(outgoing.response);
      }),
    );

    it(
      'a reset by the connector after the response shows truncation at the edge',
      withStream(get, async (outgoing, incoming) => {
        incoming.respond({ status: 200, headers: [] });
        incoming.body.write('half of it');
        await outgoing.response;
        await within('bytes arrive', once(outgoing.body, 'data'));
        incoming.reset();
        assert.equal(await closesWithoutEnd(outgoing.body), true);
      }),
    );

    it(
      'a complete response before the request is complete arrives whole',
      withStream(post, async (outgoing, incoming) => {
        outgoing.body.on('error', () => undefined);
        outgoing.body.write('beginning');
        incoming.respond({ status: 413, headers: [] });
        incoming.body.end('too large');
        assert.equal((await outgoing.response).status, 413);
        assert.equal((await readAll(outgoing.body)).toString(), 'too large');
      }),
    );

    it('a reader that pauses stops the writer, in both directions, and other streams run on', async () => {
      const stalledAtConnector = Promise.withResolvers<IncomingStream>();
      await run(
        incoming => {
          if (incoming.head.path !== '/quick') {
            stalledAtConnector.resolve(incoming);
            return;
          }
          incoming.respond({ status: 200, headers: [] });
          incoming.body.end('quick');
        },
        async pair => {
          const stalled = pair.edge.request(tcp);
          const incoming = await within('the stream arrives', stalledAtConnector.promise);
          incoming.respond({ status: 200, headers: [] });
          await stalled.response;
          const bound = 48 * mebibyte;
          assert.ok((await fill(stalled.body, bound)) < bound, 'the edge could write without end');
          assert.ok((await fill(incoming.body, bound)) < bound, 'the connector could write without end');
          const quick = pair.edge.request({ ...get, path: '/quick' });
          assert.equal((await within('another stream answers', quick.response)).status, 200);
          assert.equal((await readAll(quick.body)).toString(), 'quick');
          stalled.reset();
        },
      );
    });

    it(
      'drain at the edge finishes work in hand and takes no more',
      withStream(get, async (outgoing, incoming, pair) => {
        incoming.respond({ status: 200, headers: [] });
        await outgoing.response;
        const drained = pair.edge.drain(20_000);
        assert.throws(
          () => pair.edge.request(get),
          error => isPosternError(error, 'connection.closed'),
        );
        const received = count(outgoing.body);
        await send(incoming.body, 2 * mebibyte);
        assert.equal(await within('all bytes arrive', received), 2 * mebibyte);
        await within('the edge drains', drained);
        assert.equal((await within('the edge end closes', pair.edge.closed)).orderly, true);
        assert.equal((await within('the connector end closes', pair.connector.closed)).orderly, true);
      }),
    );

    it(
      'drain at the connector finishes work in hand',
      withStream(get, async (outgoing, incoming, pair) => {
        incoming.respond({ status: 200, headers: [] });
        await outgoing.response;
        const drained = pair.connector.drain(20_000);
        const received = count(outgoing.body);
        await send(incoming.body, 2 * mebibyte);
        assert.equal(await within('all bytes arrive', received), 2 * mebibyte);
        await within('the connector drains', drained);
        await within('the edge end closes', pair.edge.closed);
      }),
    );

    it(
      'abort ends both ends and every stream',
      withStream(post, async (outgoing, incoming, pair) => {
        pair.edge.abort(new PosternError('connection.closed', 'The test ends it.'));
        assert.equal(await closesWithoutEnd(incoming.body), true);
        await assert.rejects(outgoing.response);
        await within('the connector end closes', pair.connector.closed);
        assert.throws(
          () => pair.edge.request(get),
          error => isPosternError(error, 'connection.closed'),
        );
      }),
    );

    it('serves a new request while the readers of many others have stopped, in both directions', async () => {
      const stalled = 80;
      const body = Buffer.alloc(2 * mebibyte, 7);
      let held = 0;
      await run(
        incoming => {
          if (incoming.head.path === '/fresh') {
            incoming.respond({ status: 200, headers: [] });
            incoming.body.end('fresh');
            return;
          }
          // Nobody reads the request's body, as behind an origin that does not.
          incoming.body.pause();
          incoming.respond({ status: 200, headers: [] });
          incoming.body.write(body);
          held += 1;
        },
        async pair => {
          const streams: OutgoingStream[] = [];
          for (let index = 0; index < stalled; index += 1) {
            const stream = pair.edge.request(post);
            stream.body.on('error', () => undefined).pause();
            stream.body.write(body);
            streams.push(stream);
          }
          await within('all heads', Promise.all(streams.map(({ response }) => response)), 60_000);
          assert.equal(held, stalled);
          // Twice, the second time after all windows have filled.
          for (let round = 0; round < 2; round += 1) {
            await new Promise(resolve => setTimeout(resolve, 200 * round));
            const fresh = pair.edge.request({ ...get, path: '/fresh' });
            assert.equal((await within('its head', fresh.response, 30_000)).status, 200);
            assert.equal((await within('its body', readAll(fresh.body), 30_000)).toString(), 'fresh');
          }
          for (const stream of streams) stream.reset();
        },
      );
    });

    it('serves 1,000 streams at once', async () => {
      const held: IncomingStream[] = [];
      await run(
        incoming => {
          held.push(incoming);
          if (held.length < 1_000) return;
          for (const one of held) {
            one.respond({ status: 200, headers: [] });
            one.body.end(one.head.path);
          }
        },
        async pair => {
          const requests = Array.from({ length: 1_000 }, (_, index) =>
            pair.edge.request({ ...get, path: `/${index}` }),
          );
          const bodies = Promise.all(
            requests.map(async request => {
              await request.response;
              return (await readAll(request.body)).toString();
            }),
          );
          assert.deepEqual(
            await within('all streams answer', bodies),
            requests.map((_, index) => `/${index}`),
          );
        },
      );
    });

    it('moves 256 MiB each way in bounded memory', { timeout: 150_000 }, async () => {
      const total = 256 * mebibyte;
      await run(
        incoming => {
          incoming.respond({ status: 200, headers: [] });
          incoming.body.pipe(incoming.body);
        },
        async pair => {
          const echo = pair.edge.request(tcp);
          await echo.response;
          const before = process.memoryUsage().rss;
          let accepted = 0;
          const sending = send(echo.body, total, bytes => {
            accepted = bytes;
          });
          // The reader starts only when the writer can write no more: what has piled up is what windows and buffers allow.
          let last = -1;
          await until('the writer stalls', async () => {
            last = accepted;
            await new Promise(resolve => setTimeout(resolve, 500));
            return accepted > 0 && accepted === last;
          });
          assert.ok(accepted < total, 'the writer could write everything although nobody reads');
          const grown = process.memoryUsage().rss - before;
          assert.ok(
            grown < 64 * mebibyte,
            `memory grew by ${(grown / mebibyte).toFixed(0)} MiB while the reader was paused`,
          );
          assert.equal(await within('all bytes come back', count(echo.body), 120_000), total);
          await sending;
        },
      );
    });

    it('notices a peer that vanishes', { timeout: 60_000 }, async context => {
      await run(
        () => undefined,
        async pair => {
          if (pair.vanish === undefined) {
            context.skip('no network in between');
            return;
          }
          await pair.connector.control;
          pair.vanish();
          const ends = Promise.all([pair.edge.closed, pair.connector.closed]);
          const [edgeEnd, connectorEnd] = await within('both ends notice', ends, 45_000);
          assert.equal(edgeEnd.error?.code, 'connection.lost');
          assert.equal(connectorEnd.error?.code, 'connection.lost');
        },
        { vanish: true },
      );
    });

    it('answers pings', async () => {
      await run(
        () => undefined,
        async pair => {
          assert.ok((await pair.edge.ping(10_000)) >= 0);
        },
      );
    });

    it('pushes configurations and brings back what the connector says', async () => {
      const pushed: PushedConfiguration[] = [];
      const answers: ConfigurationAnswer[] = [
        { version: 7, error: undefined },
        { version: 7, error: 'Rule 1 “é” is wrong' },
        { version: -1, error: undefined },
      ];
      const json = JSON.stringify({ ingress: [{ service: 'http_status:404' }], text: 'é'.repeat(50_000) });
      await run(
        () => undefined,
        async pair => {
          for (const [index, answer] of [...answers].entries())
            assert.deepEqual(await pair.edge.configure({ version: 7 + index, json }, 20_000), answer);
          const versions = pushed.map(({ version }) => version);
          assert.deepEqual(versions, [7, 8, 9]);
          for (const one of pushed) assert.deepEqual(JSON.parse(one.json), JSON.parse(json));
          await until('nothing to run on', () => pair.edge.openStreams === 0 && pair.connector.openStreams === 0);
        },
        undefined,
        async one => {
          pushed.push(one);
          return answers[pushed.length - 1] ?? { version: 0, error: 'one too many' };
        },
      );
    });

    it('gives a configuration up whose answer does not come, and goes on', async () => {
      const asked = Promise.withResolvers<void>();
      await run(
        incoming => incoming.respond({ status: 204, headers: [] }, { endStream: true }),
        async pair => {
          const pushed = { version: 1, json: '{}' };
          await assert.rejects(pair.edge.configure(pushed, 300), error => isPosternError(error, 'rpc.timeout'));
          assert.equal((await pair.edge.request(get).response).status, 204);
          const running = assert.rejects(pair.edge.configure(pushed, 20_000), error => isPosternError(error));
          await within('the push', asked.promise);
          pair.edge.abort(new PosternError('connection.closed', 'The test ends it.'));
          await within('its end', running);
          await assert.rejects(pair.edge.configure(pushed, 20_000), error => isPosternError(error));
        },
        undefined,
        () => {
          asked.resolve();
          return new Promise(() => undefined);
        },
      );
    });

    const call: RequestHead = { ...post, headers: ['TE', 'trailers'] };

    it(
      'carries trailers after the body',
      withStream(call, async (outgoing, incoming) => {
        outgoing.body.end('question');
        assert.equal((await readAll(incoming.body)).toString(), 'question');
        incoming.respond({ status: 200, headers: ['Content-Type', 'application/grpc'] });
        assert.equal(incoming.trailers(['Grpc-Status', '0', 'X-Sum', 'abc']), true);
        incoming.body.write('mess');
        incoming.body.end('age');
        await outgoing.response;
        assert.equal((await readAll(outgoing.body)).toString(), 'message');
        const trailers = outgoing.trailers.map(text => text.toLowerCase());
        assert.deepEqual(trailers, ['grpc-status', '0', 'x-sum', 'abc']);
      }),
    );

    for (const spans of ['CgA=', ''])
      it(
        `carries ${spans === '' ? 'no spans that an origin made up' : 'spans of a trace'} with a head, and trailers after them`,
        withStream(call, async (outgoing, incoming) => {
          outgoing.body.end();
          const forged = ['Cf-Int-Cloudflared-Tracing', 'AAAA', 'x', 'y'];
          incoming.respond({ status: 200, headers: forged, spans });
          incoming.trailers(['x-sum', 'abc']);
          incoming.body.end('answer');
          const { headers, spans: arrived } = await outgoing.response;
          assert.deepEqual([headers, arrived], [['x', 'y'], spans === '' ? undefined : spans]);
          assert.equal((await readAll(outgoing.body)).toString(), 'answer');
          assert.deepEqual(outgoing.trailers, ['x-sum', 'abc']);
        }),
      );

    it(
      'carries the trailers of an answer that is complete before the request is',
      withStream(call, async (outgoing, incoming) => {
        outgoing.body.on('error', () => undefined);
        outgoing.body.write('the first of many messages');
        await within('bytes arrive', once(incoming.body, 'data'));
        incoming.respond({ status: 200, headers: ['Content-Type', 'application/grpc'] });
        incoming.trailers(['grpc-status', '7']);
        incoming.body.end();
        await outgoing.response;
        assert.equal((await readAll(outgoing.body)).length, 0);
        assert.deepEqual(
          outgoing.trailers.map(text => text.toLowerCase()),
          ['grpc-status', '7'],
        );
        await until('the stream to close at the connector', () => incoming.body.closed);
      }),
    );

    it(
      'a reset in the middle of an answer with trailers shows truncation',
      withStream(call, async (outgoing, incoming) => {
        incoming.respond({ status: 200, headers: [] });
        incoming.trailers(['grpc-status', '0']);
        incoming.body.write('half of it');
        await outgoing.response;
        await within('bytes arrive', once(outgoing.body, 'data'));
        incoming.reset();
        assert.equal(await closesWithoutEnd(outgoing.body), true);
        assert.deepEqual(outgoing.trailers, []);
      }),
    );

    if (traits.datagrams) {
      it('carries datagrams both ways and refuses those that do not fit', async () => {
        await run(
          () => undefined,
          async pair => {
            const { datagrams: edge } = pair.edge;
            const { datagrams: connector } = pair.connector;
            assert.ok(edge !== undefined && connector !== undefined);
            const received: string[] = [];
            connector.receive(datagram => connector.send(datagram));
            edge.receive(datagram => received.push(Buffer.from(datagram).toString()));
            await until('an echo arrives', () => {
              edge.send(Buffer.from('echo'));
              return received.length > 0;
            });
            assert.equal(received[0], 'echo');
            assert.equal(edge.send(new Uint8Array(70_000)), false);
            assert.equal(edge.dropped.tooLarge, 1);
          },
        );
      });
    }
  });
}
