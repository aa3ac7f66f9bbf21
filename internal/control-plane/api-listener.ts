// Where the control-plane API is listened for: plain HTTP on loopback, HTTPS with the edge's own certificate anywhere else,
// because bearer tokens and tunnel secrets pass here. Web pages are kept out (request-source.ts).

import { X509Certificate } from 'node:crypto';
import { createServer as createHttpServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Certificates } from '../certificates/open-certificates.ts';
import { bracketed } from '../net/address/host-port.ts';
import { isLoopbackHost } from '../net/address/ip.ts';
import { answerHalfClosed } from '../net/http/half-closed.ts';
import { listenFailed, listenTcp } from '../net/stream/listen-tcp.ts';
import { problemCodes } from './api-problem.ts';
import { judgeSource, type SourceProblem } from './request-source.ts';

export interface ApiListenerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly certificates: Certificates;
  /** How others reach this edge; stands in the URL when the API is bound to more than loopback. */
  readonly name: string;
}

export interface ApiListener {
  /** Scheme, name and port; no path. */
  readonly origin: string;
  /** Sets what answers; until then requests wait. Call once. */
  serve(handler: RequestListener): void;
  close(): Promise<void>;
}

/** Calls are small and short; a page of a large listing takes a second. */
const limits = { headersTimeout: 10_000, requestTimeout: 30_000, maxHeaderSize: 16 * 1024 };
/** Far more than operators and their tools need at once. */
export const maxConnections = 1_000;

/** Listens. Throws 'listen.failed'. */
export async function openApiListener(options: ApiListenerOptions): Promise<ApiListener> {
  const { certificates } = options;
  const local = isLoopbackHost(options.host);
  const secure = local ? undefined : createHttpsServer({ ...limits, ...certificates.tls, minVersion: 'TLSv1.2' });
  const server: Server = secure ?? createHttpServer(limits);
  server.maxConnections = maxConnections;
  answerHalfClosed(server);
  let leaf = secure === undefined ? undefined : new X509Certificate(certificates.tls.cert);
  const stopRenewal =
    secure === undefined
      ? undefined
      : certificates.onRenewed(() => {
          secure.setSecureContext({ ...certificates.tls });
          leaf = new X509Certificate(certificates.tls.cert);
        });
  const port = await listen(server, options);
  const ready = Promise.withResolvers<RequestListener>();
  const names = new Set([options.host, options.name].map(text => text.toLowerCase()));
  // Nobody who checks certificates comes by a name that this one is not for.
  const isOwn = (name: string): boolean => names.has(name) || (name !== '' && leaf?.checkHost(name) !== undefined);
  server.on('request', (request, response) => {
    const problem = judgeSource(request, isOwn);
    if (problem === undefined) void ready.promise.then(handler => handler(request, response));
    else refuse(response, problem);
  });
  return {
    origin: local ? `http://${bracketed(options.host)}:${port}` : `https://${bracketed(options.name)}:${port}`,
    serve: ready.resolve,
    close: () =>
      new Promise(resolve => {
        stopRenewal?.();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** In the envelope that clients of the API read. */
function refuse(response: ServerResponse, { status, message }: SourceProblem): void {
  const errors = [{ code: problemCodes.invalid, message }];
  const text = JSON.stringify({ success: false, errors, messages: [], result: null });
  // What a page sends along is not read.
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Connection: 'close' });
  response.end(text);
}

async function listen(server: Server, { host, port }: ApiListenerOptions): Promise<number> {
  try {
    return await listenTcp(server, host, port);
  } catch (error) {
    throw listenFailed('calls of the API (--api)', host, port, error);
  }
}
