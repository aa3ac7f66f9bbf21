// A small HTTP server for the machine's operator: health and metrics, by GET, without authentication, so that it listens
// on loopback unless told otherwise. What is answered is given by others. Source: docs/protocol/commands-and-api.md §13.
//
// It is not for visitors: a request that came through a tunnel (it then carries this program's tag header) is refused; so
// is, on loopback, one for a full host name, which only a page in the user's browser that rebinds its DNS name would send.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { describeError, foreignCode, PosternError } from '../errors/error.ts';
import { hostOfHeader } from '../net/address/host-port.ts';
import { isLoopbackHost } from '../net/address/ip.ts';
import { answerHalfClosed } from '../net/http/half-closed.ts';
import { nodeHttp } from '../net/http/node-http.ts';
import { listenTcp } from '../net/stream/listen-tcp.ts';

export interface LocalAddress {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
}

/** What an answer may depend on beside the path. */
export interface LocalRequest {
  readonly query: URLSearchParams;
  /** Aborted when the asker goes away, or says no more: one that only waits still gets its answer. */
  readonly signal: AbortSignal;
  /**
   * A page in a browser may have sent it: browsers say so, or the host is a full name, which a page that rebinds its DNS name
   * would send. On loopback the latter never gets here.
   */
  readonly fromPage: boolean;
}

export interface LocalAnswer {
  readonly status: number;
  readonly body: string | Uint8Array;
  /** Default: plain text in UTF-8. */
  readonly contentType?: string | undefined;
}

export interface LocalServer {
  /** IP address and port it is bound to. */
  readonly address: LocalAddress;
  /** Settles when closed; running answers get up to two seconds. */
  close(): Promise<void>;
}

/** As cloudflared has it: requests are tiny. */
const requestTimeoutMs = 10_000;

/**
 * Listens on the first of `candidates` whose port is free. Rejects with 'listen.failed'.
 * @param answer the answer for a path; undefined = there is none
 */
export async function openLocalServer(
  candidates: readonly LocalAddress[],
  answer: (path: string, request: LocalRequest) => LocalAnswer | undefined | Promise<LocalAnswer | undefined>,
): Promise<LocalServer> {
  let onLoopback = true;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    request.resume();
    if (isForeign(request, onLoopback)) {
      send(response, { status: 403, body: 'forbidden\n' });
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      send(response, { status: 405, body: 'Method Not Allowed\n' });
    } else {
      const { path, query } = targetOf(request);
      const left = new AbortController();
      const leave = (): void => left.abort();
      request.socket.once('end', leave);
      response.once('close', () => {
        request.socket.off('end', leave);
        leave();
      });
      const found = await answer(path, { query, signal: left.signal, fromPage: isFromPage(request) });
      send(response, found ?? { status: 404, body: '404 page not found\n' });
    }
  };
  const server = nodeHttp.createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' }).end(`${describeError(error)}\n`);
    });
  });
  server.requestTimeout = requestTimeoutMs;
  server.headersTimeout = requestTimeoutMs;
  server.maxConnections = 256;
  answerHalfClosed(server);
  await listen(server, candidates);
  const { address, port } = server.address() as AddressInfo;
  onLoopback = isLoopbackHost(address);
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

async function listen(server: Server, candidates: readonly LocalAddress[]): Promise<void> {
  for (const [index, { host, port }] of candidates.entries()) {
    try {
      await listenTcp(server, host, port);
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

function isForeign(request: IncomingMessage, onLoopback: boolean): boolean {
  const { headers } = request;
  return (
    headers['cf-warp-tag-id'] !== undefined ||
    headers['cf-ray'] !== undefined ||
    (onLoopback && !isLocalHost(headers.host))
  );
}

function targetOf({ url = '/' }: IncomingMessage): { path: string; query: URLSearchParams } {
  const [path = '/', ...rest] = url.split('?');
  return { path, query: new URLSearchParams(rest.join('?')) };
}

/** Whoever types an address into a browser is no page. */
function isFromPage({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site'];
  return headers.origin !== undefined || (site !== undefined && site !== 'none') || !isLocalHost(headers.host);
}

function send(
  response: ServerResponse,
  { status, body, contentType = 'text/plain; charset=utf-8' }: LocalAnswer,
): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }).end(body);
}

/** An IP address, or a name without a dot such as `localhost`, with or without a port. */
function isLocalHost(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = hostOfHeader(host);
  return name !== undefined && (isIP(name) !== 0 || !name.includes('.'));
}
