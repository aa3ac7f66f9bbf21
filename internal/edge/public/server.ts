// The visitors' listeners: HTTP/1.1 in the clear, and TLS with HTTP/2 or HTTP/1.1 by ALPN. One node:http server parses all
// HTTP/1.1, so limits and time-outs are the same everywhere.

import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { constants, performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { foreignCode, PosternError } from '../../errors/error.ts';
import type { Certificates } from '../certificates/open-certificates.ts';
import { Http1Response, readHttp1 } from './http1-visitor.ts';
import { Http2Response, readHttp2 } from './http2-visitor.ts';
import type { VisitorRequest, VisitorResponse } from './visitor.ts';

export interface PublicServerOptions {
  readonly host: string;
  /** 0 = any free port; undefined = no such listener. */
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly certificates: Certificates;
  readonly handle: (request: VisitorRequest, response: VisitorResponse) => void;
}

export interface PublicServer {
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  /** Accept no more connections, finish running requests (at most `timeoutMs`), then close. */
  drain(timeoutMs: number): Promise<void>;
}

/** Slow-loris: a request's head must be complete in this time. Bodies may take as long as they flow. */
const headersTimeoutMs = 20_000;
/** A little above the idle time of common clients and load balancers (60 s). */
const keepAliveTimeoutMs = 75_000;
/** Large cookies and tokens pass; a header bomb does not. */
const maxHeaderBytes = 128 * 1024;
/** Connections of visitors at once, over both listeners; some 40 KiB each. */
const maxConnections = 20_000;
const http2Settings = { initialWindowSize: 1 << 20, maxConcurrentStreams: 256, maxHeaderListSize: maxHeaderBytes };

/** Listens. Throws 'listen.failed'. */
export async function openPublicServer(options: PublicServerOptions): Promise<PublicServer> {
  const http = createHttp1(options.handle);
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  const limit = (socket: Socket): boolean => {
    if (sockets.size >= maxConnections) {
      socket.destroy();
      return false;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return true;
  };
  http.on('connection', limit);
  const tls = createTls(options, limit, socket => {
    if (socket.alpnProtocol === 'h2') acceptHttp2(socket, sessions, options.handle);
    else http.emit('connection', socket);
  });
  const httpPort =
    options.httpPort === undefined ? undefined : await listen(http, options.host, options.httpPort, 'HTTP');
  const httpsPort =
    options.httpsPort === undefined ? undefined : await listen(tls, options.host, options.httpsPort, 'HTTPS');
  const stopRenewal = options.certificates.onRenewed(() => tls.setSecureContext(options.certificates.visitorTls));
  return {
    httpPort,
    httpsPort,
    drain: async timeoutMs => {
      stopRenewal();
      for (const session of sessions) session.close();
      const closed = Promise.all([closeServer(http), closeServer(tls)]);
      http.closeIdleConnections();
      // Connections become idle one by one as their requests end; node:http closes those that are idle at the moment only.
      const sweep = setInterval(() => http.closeIdleConnections(), 50);
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, timeoutMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(timer);
    },
  };
}

function createHttp1(handle: PublicServerOptions['handle']): Server {
  const server = createHttpServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: 0,
    connectionsCheckingInterval: 5_000,
    keepAliveTimeout: keepAliveTimeoutMs,
    maxHeaderSize: maxHeaderBytes,
    noDelay: true,
    // Only WebSocket is upgraded; any other Upgrade is ignored, as RFC 9110 §7.8 allows.
    shouldUpgradeCallback: request =>
      request.headers.upgrade?.toLowerCase() === 'websocket' && request.method === 'GET',
  });
  const serve = (message: IncomingMessage, response: Http1Response, upgrade: boolean): void => {
    const request = readHttp1(message, upgrade);
    if (request === 'bad') refuse(response);
    else handle(request, response);
  };
  server.on('request', (message, response) => serve(message, Http1Response.ordinary(response, false), false));
  server.on('checkContinue', (message, response) => serve(message, Http1Response.ordinary(response, true), false));
  server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    serve(message, Http1Response.upgrading(message, socket, head), true);
  });
  server.on('clientError', answerClientError);
  return server;
}

function refuse(response: VisitorResponse): void {
  const body = Buffer.from('400 The request names no valid host or path.\n');
  const target = response.start(
    400,
    ['Content-Type', 'text/plain', 'Content-Length', String(body.length), 'Connection', 'close'],
    { hasBody: true },
  );
  target?.write(body);
  target?.end([]);
}

/** A request that the parser refused: malformed, too large, or too slow. */
function answerClientError(error: Error, socket: Duplex): void {
  const code = foreignCode(error);
  if (socket.destroyed || !socket.writable) return;
  const status =
    code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function createTls(
  options: PublicServerOptions,
  limit: (socket: Socket) => boolean,
  accept: (socket: TLSSocket) => void,
): TlsServer {
  const { certificates } = options;
  const server = createTlsServer({
    ...certificates.visitorTls,
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: headersTimeoutMs,
    noDelay: true,
    ...(certificates.byName === undefined ? {} : { SNICallback: certificates.byName.sniCallback }),
  });
  server.on('connection', limit);
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', accept);
  return server;
}

function acceptHttp2(
  socket: TLSSocket,
  sessions: Set<ServerHttp2Session>,
  handle: PublicServerOptions['handle'],
): void {
  const session = performServerHandshake(socket, {
    settings: http2Settings,
    maxHeaderListPairs: 1_024,
    maxSessionMemory: 64,
  });
  sessions.add(session);
  session.once('close', () => {
    sessions.delete(session);
    socket.destroy();
  });
  session.on('error', () => undefined);
  session.setLocalWindowSize(8 << 20);
  session.setTimeout(keepAliveTimeoutMs, () => session.close());
  session.on('stream', (stream, headers, flags, raw) => {
    const response = new Http2Response(stream, headers.expect === '100-continue');
    const request = readHttp2(stream, raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    if (request === 'bad') refuse(response);
    else handle(request, response);
  });
}

function listen(server: Server | TlsServer, host: string, port: number, what: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const reason = foreignCode(error) ?? error.message;
      const remedy =
        reason === 'EADDRINUSE' ? 'another program uses it; choose another port' : 'choose another address or port';
      reject(
        new PosternError(
          'listen.failed',
          `Cannot listen for ${what} visitors on ${host}:${port} (${reason}): ${remedy}.`,
          { cause: error },
        ),
      );
    };
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function closeServer(server: Server | TlsServer): Promise<void> {
  return new Promise(resolve => {
    if (server.listening) server.close(() => resolve());
    else resolve();
  });
}
