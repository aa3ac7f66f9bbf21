// CPU of the proxy and its origin client alone: requests made in this process through OriginProxy to a real origin in
// a child process. Prints CPU seconds per 10,000 small requests and per GB of 1 MiB bodies, of this process only.
// Run: node test/bench/origin.ts [small|bulk|up|undici|undici-bulk] [requests]; profile with --cpu-prof.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { createPair, TestIncoming } from '../support/incoming.ts';
import { httpService, proxyTo } from '../support/proxied.ts';

const concurrency = 64;
const bulkBytes = 1 << 20;

function serveOrigin(): void {
  const small = Buffer.from('hello world 0123456789\n');
  const big = Buffer.alloc(bulkBytes, 1);
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      request.resume().on('end', () => response.writeHead(204).end());
      return;
    }
    const body = request.url === '/big' ? big : small;
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length }).end(body);
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit(0));
}

/** `send` starts one request and calls back when its response has been read. */
async function run(send: (done: () => void) => void, requests: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let started = 0;
  let ended = 0;
  const next = (): void => {
    ended += 1;
    if (started < requests) {
      started += 1;
      send(next);
    } else if (ended === requests) resolve();
  };
  for (; started < Math.min(concurrency, requests); ) {
    started += 1;
    send(next);
  }
  await promise;
}

const headers = [
  ...['accept', 'text/html,application/xhtml+xml', 'accept-encoding', 'gzip, br', 'accept-language', 'en-GB,en;q=0.7'],
  ...['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ...['cf-ray', '8f0c2d1e3a4b5c6d-FRA', 'cf-connecting-ip', '203.0.113.9', 'x-forwarded-for', '203.0.113.9'],
  ...['x-forwarded-proto', 'https', 'cookie', 'session=0123456789abcdef0123456789abcdef'],
];

async function main(what: string, requests: number): Promise<void> {
  const child = fork(process.argv[1] ?? '', ['origin'], { execArgv: [] });
  const [port] = (await once(child, 'message')) as [number];
  const proxied = await proxyTo(httpService(port), {}, { log: (await import('pino')).pino({ level: 'silent' }) });
  const { proxy } = proxied;
  const chunk = Buffer.alloc(64 * 1024, 2);
  const upload = (edge: TestIncoming['edge']): void => {
    let left = bulkBytes;
    const more = (): void => {
      while (left > 0) {
        left -= chunk.length;
        if (!edge.write(chunk)) break;
      }
      if (left === 0) edge.end();
      else edge.once('drain', more);
    };
    more();
  };
  const ways: Record<string, (done: () => void) => void> = {
    small: done => {
      const incoming = new TestIncoming({ headers });
      incoming.edge.on('data', () => undefined).on('end', done);
      proxy.stream(incoming);
    },
    bulk: done => {
      const incoming = new TestIncoming({ headers, path: '/big' }, 256 * 1024);
      incoming.edge.on('data', () => undefined).on('end', done);
      proxy.stream(incoming);
    },
    up: done => {
      const incoming = new TestIncoming({ headers, method: 'POST', bodyLength: bulkBytes }, 256 * 1024);
      incoming.edge.on('data', () => undefined).on('end', done);
      proxy.stream(incoming);
      upload(incoming.edge);
    },
    harness: done => {
      const incoming = new TestIncoming({ headers });
      incoming.edge.on('data', () => undefined).on('end', done);
      incoming.respond({ status: 200, headers: [] });
      incoming.body.resume().end(chunk.subarray(0, 23));
    },
  };
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 256 });
  for (const [name, path] of [
    ['undici', '/'],
    ['undici-bulk', '/big'],
  ] as const) {
    ways[name] = done => {
      const [body, edge] = createPair(256 * 1024);
      edge.on('data', () => undefined).on('end', done);
      edge.end();
      body.resume();
      pool.dispatch(
        { method: 'GET', path, headers },
        {
          onRequestStart: () => undefined,
          onResponseStart: () => undefined,
          onResponseData: (controller, data) => {
            if (body.write(data)) return;
            controller.pause();
            body.once('drain', () => controller.resume());
          },
          onResponseEnd: () => void body.end(),
          onResponseError: (_controller, error) => {
            throw error;
          },
        },
      );
    };
  }
  const way = ways[what];
  if (way === undefined) throw new Error(`unknown: ${what}`);
  await run(way, Math.ceil(requests / 5));
  for (let round = 0; round < 3; round += 1) {
    const before = process.cpuUsage();
    const startMs = performance.now();
    await run(way, requests);
    const { user, system } = process.cpuUsage(before);
    const seconds = (performance.now() - startMs) / 1000;
    const cpu = (user + system) / 1e6;
    const perGb = ((cpu / requests) * 1e9) / bulkBytes;
    const figure = what.match(/bulk|up/)
      ? `${perGb.toFixed(3)} CPU-s/GB`
      : `${((cpu / requests) * 1e4).toFixed(3)} CPU-s/10k`;
    console.log(
      `${what}: ${figure}, ${(requests / seconds).toFixed(0)}/s, RSS ${(process.memoryUsage.rss() >> 20).toFixed(0)} MB`,
    );
  }
  await pool.destroy();
  await proxied.close();
  child.disconnect();
}

if (process.argv[2] === 'origin') serveOrigin();
else await main(process.argv[2] ?? 'small', Number(process.argv[3] ?? 30_000));
