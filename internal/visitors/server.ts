// The visitors' listeners: HTTP/1.1 in the clear, and TLS with HTTP/2 or HTTP/1.1 by ALPN. Ports, the limit of connections,
// certificates and the end; requests are http1-server.ts and http2-server.ts.

import type { Server } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Certificates } from '../certificates/open-certificates.ts';
import { foreignCode, PosternError } from '../errors/error.ts';
import { listenTcp } from '../net/stream/listen-tcp.ts';
import { WriteWatch } from '../net/stream/write-watch.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createHttp1Server } from './http1-server.ts';
import { serveHttp2 } from './http2-server.ts';
import { placeLimits, type VisitorTimeouts, visitorTimeouts } from './limits.ts';
import { type PlaceLimits, Places, type Refusal } from './places.ts';
import type { HandleVisitor } from './visitor.ts';

export interface PublicServerOptions {
  readonly host: string;
  /** 0 = any free port; undefined = no such listener. */
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly certificates: Certificates;
  readonly handle: HandleVisitor;
  /** Default: `visitorTimeouts`. */
  readonly timeouts?: VisitorTimeouts;
  /** Default: `placeLimits`. */
  readonly places?: PlaceLimits;
  /** Told of refused connections, at most once a minute for each reason. */
  readonly logger: Logger;
}

/** How often the log tells of refused connections. */
const refusalLogMs = 60_000;

export interface PublicServer {
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  /** Accept no more connections, finish running requests (at most `timeoutMs`), then close. */
  drain(timeoutMs: number): Promise<void>;
}

/** Listens. Throws 'listen.failed'. */
export async function openPublicServer(options: PublicServerOptions): Promise<PublicServer> {
  const { timeouts = visitorTimeouts } = options;
  const writes = new WriteWatch(timeouts.stallMs);
  const places = new Places(options.places ?? placeLimits, refusalLog(options.logger));
  const handle: HandleVisitor = (request, response) => {
    places.heard(request.remoteAddress, request.remotePort);
    options.handle(request, response);
  };
  const http = createHttp1Server(handle, timeouts, writes);
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  const limit = (socket: Socket): void => {
    // Those that TLS handed over were counted before.
    if (socket instanceof TLSSocket) return;
    if (!places.take(socket)) return;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  http.on('connection', limit);
  let draining = false;
  const tls = createTls(options, limit, socket => {
    if (draining) socket.destroy();
    else if (socket.alpnProtocol === 'h2') serveHttp2(socket, sessions, handle, timeouts, writes);
    else http.emit('connection', socket);
  });
  const { host } = options;
  let ports: readonly (number | undefined)[];
  try {
    ports = [await listen(http, host, options.httpPort, 'HTTP'), await listen(tls, host, options.httpsPort, 'HTTPS')];
  } catch (error) {
    await Promise.all([closeServer(http), closeServer(tls)]);
    throw error;
  }
  const [httpPort, httpsPort] = ports;
  const stopRenewal = options.certificates.onRenewed(() => tls.setSecureContext(options.certificates.visitorTls));
  return {
    httpPort,
    httpsPort,
    drain: async timeoutMs => {
      draining = true;
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

function refusalLog(logger: Logger): (refusal: Refusal, address: string) => void {
  const toldAtMs: Record<Refusal, number> = { full: Number.NEGATIVE_INFINITY, silent: Number.NEGATIVE_INFINITY };
  return (refusal, address) => {
    const nowMs = performance.now();
    if (nowMs - toldAtMs[refusal] < refusalLogMs) return;
    toldAtMs[refusal] = nowMs;
    const why = refusal === 'full' ? 'too many are open' : 'too many have sent no request yet';
    logger.warn({ src: address }, `Connections of visitors are refused: ${why}, in all or from this address`);
  };
}

function createTls(
  options: PublicServerOptions,
  limit: (socket: Socket) => void,
  accept: (socket: TLSSocket) => void,
): TlsServer {
  const { certificates } = options;
  const server = createTlsServer({
    ...certificates.visitorTls,
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: (options.timeouts ?? visitorTimeouts).headersMs,
    noDelay: true,
    ...(certificates.byName === undefined ? {} : { SNICallback: certificates.byName.sniCallback }),
  });
  server.on('connection', limit);
  // Node leaves a socket open whose handshake took too long.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('secureConnection', accept);
  return server;
}

async function listen(
  server: Server | TlsServer,
  host: string,
  port: number | undefined,
  what: string,
): Promise<number | undefined> {
  if (port === undefined) return undefined;
  try {
    return await listenTcp(server, host, port);
  } catch (error) {
    const reason = foreignCode(error) ?? String(error);
    const remedy =
      reason === 'EADDRINUSE' ? 'another program uses it; choose another port' : 'choose another address or port';
    throw new PosternError(
      'listen.failed',
      `Cannot listen for ${what} visitors on ${host}:${port} (${reason}): ${remedy}.`,
      { cause: error },
    );
  }
}

/** Settles when the listener is closed and so are its connections; at once where there is none. */
function closeServer(server: Server | TlsServer): Promise<void> {
  return new Promise(resolve => {
    // Also without a listener the call is needed: it ends the look-out for slow heads.
    server.close(() => resolve());
  });
}
