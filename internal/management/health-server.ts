// The connector's local HTTP endpoint: /ready, /healthcheck, /metrics, /config, /quicktunnel. Plain HTTP without
// authentication, so it listens on loopback unless told otherwise. Source: spec cli-and-api §13.
//
// It is not for visitors: a request that came through a tunnel (it then carries this program's tag header) is refused; so
// is, on loopback, one for a full host name, which only a page in the user's browser that rebinds its DNS name would send.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { describeError, foreignCode, PosternError } from '../errors/error.ts';
import { nodeHttp } from '../net/node-http.ts';

export interface HealthSource {
  /** Registered connections now. */
  readyConnections(): number;
  readonly connectorId: string;
  /** Host name of the quick tunnel, '' for other tunnels. */
  quickTunnelHost(): string;
  /** JSON of /config. */
  configuration(): string;
  /** Prometheus text and its content type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}

export interface HealthServerOptions {
  /** Host and port to listen on; undefined = localhost, the first free port of 20241…20245, else any. */
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  readonly source: HealthSource;
}

export interface HealthServer {
  /** IP address and port it is bound to. */
  readonly address: { readonly host: string; readonly port: number };
  /** Settles when closed; running answers get up to two seconds. */
  close(): Promise<void>;
}

const defaultPorts: readonly number[] = [20241, 20242, 20243, 20244, 20245, 0];
/** As the spec's server: requests are tiny. */
const requestTimeoutMs = 10_000;

/** Rejects with 'listen.failed'. */
export async function openHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  let onLoopback = true;
  const server = nodeHttp.createServer((request, response) => {
    if (isForeign(request, onLoopback)) {
      send(response, 403, 'forbidden\n');
      return;
    }
    answer(request, response, options.source).catch((error: unknown) => {
      response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' }).end(`${describeError(error)}\n`);
    });
  });
  server.requestTimeout = requestTimeoutMs;
  server.headersTimeout = requestTimeoutMs;
  server.maxConnections = 256;
  await listen(server, options.listen);
  const { address, port } = server.address() as AddressInfo;
  onLoopback = address === '::1' || address.startsWith('127.');
  return {
    address: { host: address, port },
    close: () =>
      new Promise(resolve => {
        const cut = setTimeout(() => server.closeAllConnections(), 2_000);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

async function listen(server: Server, where: HealthServerOptions['listen']): Promise<void> {
  const candidates = where === undefined ? defaultPorts.map(port => ({ host: 'localhost', port })) : [where];
  for (const [index, { host, port }] of candidates.entries()) {
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.removeListener('error', reject);
          resolve();
        });
      });
      return;
    } catch (error) {
      if (foreignCode(error) === 'EADDRINUSE' && index + 1 < candidates.length) continue;
      throw new PosternError(
        'listen.failed',
        `Error opening metrics server listener: failed to bind to address (${host}:${port}): ${foreignCode(error) ?? 'unknown'}`,
        { cause: error },
      );
    }
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, source: HealthSource): Promise<void> {
  request.resume();
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(response, 405, 'Method Not Allowed\n');
    return;
  }
  const path = request.url?.split('?', 1)[0] ?? '/';
  switch (path) {
    case '/ready': {
      const readyConnections = source.readyConnections();
      const status = readyConnections > 0 ? 200 : 503;
      send(response, status, JSON.stringify({ status, readyConnections, connectorId: source.connectorId }));
      return;
    }
    case '/healthcheck':
      send(response, 200, 'OK\n');
      return;
    case '/quicktunnel':
      send(response, 200, JSON.stringify({ hostname: source.quickTunnelHost() }));
      return;
    case '/config':
      send(response, 200, source.configuration());
      return;
    case '/metrics': {
      const { text, contentType } = await source.metrics();
      send(response, 200, text, contentType);
      return;
    }
    default:
      send(response, 404, '404 page not found\n');
  }
}

function isForeign(request: IncomingMessage, onLoopback: boolean): boolean {
  const { headers } = request;
  return (
    headers['cf-warp-tag-id'] !== undefined ||
    headers['cf-ray'] !== undefined ||
    (onLoopback && !isLocalHost(headers.host))
  );
}

function send(response: ServerResponse, status: number, text: string, contentType = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }).end(text);
}

/** An IP address, or a name without a dot such as `localhost`, with or without a port. */
function isLocalHost(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d+$/, '');
  return isIP(name) !== 0 || !name.includes('.');
}
