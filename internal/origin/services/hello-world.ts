// The built-in test service: a small HTTP server on loopback, reached like any other origin.
// Source: docs/protocol/ingress-and-origin.md §13. (Plain HTTP: it never leaves this process.)

import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PosternError } from '../../errors/error.ts';
import { escapeHtml } from '../../net/http/escape-html.ts';
import { nodeHttp } from '../../net/http/node-http.ts';
import { listenTcp } from '../../net/stream/listen-tcp.ts';
import { WebSocketStream } from '../../net/websocket/websocket-stream.ts';
import { upgradeHeaders } from '../websocket/websocket-accept.ts';

export interface HelloWorldServer {
  readonly port: number;
  close(): Promise<void>;
}

const eventIntervalMs = 10_000;
/** Of an echoed request body as much is shown. */
const maxEchoBytes = 16 * 1024;

/** Listens on 127.0.0.1, port chosen by the system. Throws 'listen.failed'. */
export async function openHelloWorld(): Promise<HelloWorldServer> {
  const startTime = new Date();
  const server = nodeHttp.createServer((request, response) => route(request, response, startTime));
  server.on('upgrade', (request, socket, head) => echoWebSocket(request, socket as Socket, head));
  try {
    return { port: await listenTcp(server, '127.0.0.1', 0), close: () => closeServer(server) };
  } catch (cause) {
    throw new PosternError('listen.failed', 'Could not listen on 127.0.0.1 for hello_world.', { cause });
  }
}

function route(request: IncomingMessage, response: ServerResponse, startTime: Date): void {
  // Visitors choose the target: `//` would be a URL without a host if it were resolved against a base.
  const url = URL.parse(`http://hello-world${request.url ?? '/'}`);
  switch (url?.pathname) {
    case '/_health':
      response.end('ok');
      return;
    case '/uptime':
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ startTime: startTime.toISOString(), uptime: uptimeText(startTime) }));
      return;
    case '/sse':
      sendEvents(response, parseGoDuration(url?.searchParams.get('freq') ?? null) ?? eventIntervalMs);
      return;
    default:
      echoPage(request, response);
  }
}

function sendEvents(response: ServerResponse, intervalMs: number): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  let counter = 0;
  const send = (): void => {
    // A reader that stands still gets fewer events, not a queue of them.
    if (response.writableNeedDrain) return;
    response.write(`${counter}\n\n`);
    counter += 1;
  };
  send();
  const timer = setInterval(send, intervalMs);
  response.on('close', () => clearInterval(timer));
}

function echoPage(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    if (bytes < maxEchoBytes) chunks.push(chunk.subarray(0, maxEchoBytes - bytes));
    bytes += chunk.length;
  });
  request.on('end', () => {
    const headers: string[] = [];
    for (let index = 0; index < request.rawHeaders.length; index += 2)
      headers.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page(request, headers, Buffer.concat(chunks).toString('utf8')));
  });
}

function page(request: IncomingMessage, headers: readonly string[], body: string): string {
  const line = `${request.method} ${request.url} HTTP/${request.httpVersion}`;
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Postern works</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:46rem;padding:0 1rem}
pre{background:#f3f4f6;padding:1rem;overflow:auto;border-radius:.4rem}</style></head>
<body><h1>Your tunnel works</h1>
<p>This page comes from the test service inside the connector. The request that reached it:</p>
<pre>${escapeHtml([line, ...headers].join('\n'))}</pre>
${body === '' ? '' : `<pre>${escapeHtml(body)}</pre>`}
</body></html>
`;
}

function echoWebSocket(request: IncomingMessage, socket: Socket, head: Buffer): void {
  const accept = upgradeHeaders(request.rawHeaders);
  if (accept.length === 0 || !(request.url ?? '').startsWith('/ws')) {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  let text = 'HTTP/1.1 101 Switching Protocols\r\n';
  for (let index = 0; index < accept.length; index += 2) text += `${accept[index]}: ${accept[index + 1]}\r\n`;
  socket.write(`${text}\r\n`);
  socket.unshift(head);
  const stream = new WebSocketStream(socket, { text: true });
  stream.on('error', () => socket.destroy()).pipe(stream);
}

/** A duration as Go writes it: `1h2m3.5s`, `500ms`; undefined for anything else or nothing positive. */
export function parseGoDuration(text: string | null): number | undefined {
  if (text === null || !/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  const units: Readonly<Record<string, number>> = {
    ns: 1e-6,
    us: 1e-3,
    µs: 1e-3,
    ms: 1,
    s: 1000,
    m: 60_000,
    h: 3_600_000,
  };
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    totalMs += Number(amount) * (units[unit ?? ''] ?? 0);
  // Timers take 1 ms to 2^31 - 1 ms.
  return totalMs >= 1 && totalMs < 2 ** 31 ? totalMs : undefined;
}

function uptimeText(startTime: Date): string {
  return `${((Date.now() - startTime.getTime()) / 1000).toFixed(3)}s`;
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
