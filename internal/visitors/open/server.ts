// The visitors' listeners: HTTP/1.1, or HTTP/2 with prior knowledge, in the clear; TLS with HTTP/2 or HTTP/1.1 by ALPN. Ports,
// places, certificates and the end; what is said on a connection is http1/ and http2-server.ts. Source: RFC 9113 §3.3.

import type { ServerHttp2Session } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import { challengeAlpn } from '../../certificates/acme/challenge-alpn.ts';
import { type Certificates, protocolNames } from '../../certificates/open-certificates.ts';
import { listenFailed, listenTcp } from '../../net/stream/listen-tcp.ts';
import { WriteWatch } from '../../net/stream/write-watch.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { connectorAlpn, http2ServerName } from '../../transport/tls.ts';
import { Http1Connection } from '../http1/connection.ts';
import { FloodWatch } from '../http2-floods.ts';
import { serveHttp2 } from '../http2-server.ts';
import { type VisitorTimeouts, visitorTimeouts } from '../limits.ts';
import { type Place, Places, type VisitorLimits } from '../places.ts';
import type { HandleVisitor } from '../visitor.ts';
import { type FirstWords, peek } from './peek.ts';

/** Who takes the connectors that come to the visitors' HTTPS port because theirs is blocked on the way. */
export interface SharedPort {
  /** After the TLS handshake; the socket is the callee's. */
  accept(socket: TLSSocket): void;
}

/**
 * Whether connections for a server name are handed on without their TLS being opened: who takes the socket then, which it
 * owns from then on, with every byte of the visitor still to be read. Undefined = they are not. Must not throw.
 */
export type Passthrough = (serverName: string) => ((socket: Socket) => void) | undefined;

export interface PublicServerOptions {
  readonly host: string;
  /** 0 = any free port; undefined = no such listener. */
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly certificates: Certificates;
  readonly handle: HandleVisitor;
  readonly logger: Logger;
  /** Default: `visitorTimeouts`. */
  readonly timeouts?: VisitorTimeouts;
  /** Default: `visitorLimits`. */
  readonly limits?: VisitorLimits | undefined;
  /** Undefined = connectors are turned away. */
  readonly connectors?: SharedPort | undefined;
}

export interface PublicServer {
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly places: Places;
  /** Asks from now on where connections lead, before their TLS is opened. */
  passThrough(choose: Passthrough): void;
  /** Accept no more connections, finish running requests (at most `timeoutMs`), then close. */
  drain(timeoutMs: number): Promise<void>;
}

/** Listens. Throws 'listen.failed'. */
export async function openPublicServer(options: PublicServerOptions): Promise<PublicServer> {
  const listeners = new Listeners(options);
  const { host } = options;
  let ports: readonly (number | undefined)[];
  try {
    ports = [
      await listen(listeners.plain, host, options.httpPort, 'HTTP'),
      await listen(listeners.secure, host, options.httpsPort, 'HTTPS'),
    ];
  } catch (error) {
    await listeners.drain(0);
    throw error;
  }
  const [httpPort, httpsPort] = ports;
  const { certificates } = options;
  const stopRenewal = certificates.onRenewed(() => listeners.renew());
  return {
    httpPort,
    httpsPort,
    places: listeners.places,
    passThrough: choose => {
      listeners.passthrough = choose;
    },
    drain: timeoutMs => {
      stopRenewal();
      return listeners.drain(timeoutMs);
    },
  };
}

/** A visitor of a WebSocket who has gone without a word is found within minutes. */
const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 } as const;

class Listeners {
  readonly plain: Server;
  /** Takes connections for `tls`, which does not listen itself: what comes first is looked at before TLS begins. */
  readonly secure: Server;
  readonly tls: TlsServer;
  readonly places: Places;
  readonly #options: PublicServerOptions;
  readonly #timeouts: VisitorTimeouts;
  readonly #writes: WriteWatch;
  readonly #floods = new FloodWatch();
  /** TCP sockets, those under TLS too. */
  readonly #sockets = new Set<Socket>();
  /** Connections in their TLS handshake, by peer: the TLS socket that follows is another object. */
  readonly #handshakes = new Map<string, { readonly place: Place; readonly socket: Socket }>();
  /** Certificate for the names by which connectors call an edge. */
  #connectorContext: SecureContext;
  /** See `PublicServer.passThrough`. */
  passthrough: Passthrough | undefined;
  #whenEmpty: (() => void) | undefined;
  readonly #http1 = new Set<Http1Connection>();
  readonly #http2 = new Set<ServerHttp2Session>();
  readonly #sweep: NodeJS.Timeout;
  #isDraining = false;

  constructor(options: PublicServerOptions) {
    this.#options = options;
    this.#timeouts = options.timeouts ?? visitorTimeouts;
    this.#connectorContext = createSecureContext(options.certificates.tls);
    this.places = new Places(options.logger, options.limits);
    this.#writes = new WriteWatch(this.#timeouts.stallMs);
    this.plain = createServer({ allowHalfOpen: true, ...socketOptions }, socket => {
      const place = this.#admit(socket);
      if (place !== undefined) this.#serveHttp1(socket, place);
    });
    this.tls = this.#createTls();
    this.secure = createServer({ allowHalfOpen: true, ...socketOptions }, socket => this.#acceptSecure(socket));
    // A quarter late at most.
    this.#sweep = setInterval(() => this.#expire(), this.#timeouts.headersMs / 4).unref();
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    for (const session of this.#http2) session.close();
    for (const connection of this.#http1) connection.drain();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, timeoutMs);
    for (const server of [this.plain, this.secure]) server.close();
    await this.#untilEmpty();
    clearTimeout(timer);
    clearInterval(this.#sweep);
  }

  renew(): void {
    const { certificates } = this.#options;
    this.tls.setSecureContext(certificates.visitorTls);
    this.#connectorContext = createSecureContext(certificates.tls);
  }

  /** Settles when no connection of a visitor is left; those of connectors are not waited for. */
  #untilEmpty(): Promise<void> {
    return new Promise(resolve => {
      this.#whenEmpty = resolve;
      if (this.#sockets.size === 0) resolve();
    });
  }

  #createTls(): TlsServer {
    const { certificates, connectors } = this.#options;
    const byName = certificates.byName?.sniCallback;
    const chooseContext: typeof byName = (name, done) => {
      if (connectors !== undefined && isProtocolName(name)) done(null, this.#connectorContext);
      else if (byName === undefined) done(null);
      else byName(name, done);
    };
    const server = createTlsServer({
      ...certificates.visitorTls,
      ALPNProtocols: ['h2', 'http/1.1', ...(connectors === undefined ? [] : [connectorAlpn]), challengeAlpn],
      handshakeTimeout: this.#timeouts.headersMs,
      SNICallback: chooseContext,
    });
    // Node leaves a socket open whose handshake took too long.
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.on('secureConnection', socket => this.#acceptTls(socket));
    return server;
  }

  #acceptSecure(socket: Socket): void {
    const place = this.#admit(socket);
    if (place === undefined) return;
    socket.on('error', () => socket.destroy());
    peek(socket, this.#timeouts.headersMs, words => this.#begin(socket, place, words));
  }

  /** What is no TLS, and a hello without a name that leads elsewhere, is for the TLS server to judge. */
  #begin(socket: Socket, place: Place, words: FirstWords): void {
    if (this.#isDraining || words.kind === 'too-large') return void socket.destroy();
    const name = words.kind === 'hello' ? words.serverName : undefined;
    const passOn = name === undefined ? undefined : this.passthrough?.(name);
    if (passOn !== undefined) {
      place.busy();
      passOn(socket);
      return;
    }
    const peer = peerOf(socket);
    this.#handshakes.set(peer, { place, socket });
    socket.once('close', () => this.#handshakes.delete(peer));
    this.tls.emit('connection', socket);
  }

  #acceptTls(socket: TLSSocket): void {
    const known = this.#handshakes.get(peerOf(socket));
    if (this.#isDraining || known === undefined) return void socket.destroy();
    const { place } = known;
    if (isConnector(socket)) this.#handOver(socket, known);
    else if (socket.alpnProtocol === connectorAlpn) socket.destroy();
    // The certificate was the answer: RFC 8737 §3.
    else if (socket.alpnProtocol === challengeAlpn) socket.end();
    else if (socket.alpnProtocol === 'h2') this.#serveHttp2(socket, place);
    else this.#serveHttp1(socket, place);
  }

  /** A connector keeps the place of a visitor, so that a flood of them is bounded too, and never gives way to one. */
  #handOver(secure: TLSSocket, { place, socket }: { readonly place: Place; readonly socket: Socket }): void {
    const { connectors } = this.#options;
    if (connectors === undefined) return void secure.destroy();
    place.busy();
    this.#forget(socket);
    connectors.accept(secure);
  }

  #forget(socket: Socket): void {
    this.#sockets.delete(socket);
    if (this.#sockets.size === 0) this.#whenEmpty?.();
  }

  /** Undefined when there is no place; the socket is closed then. */
  #admit(socket: Socket): Place | undefined {
    const admitted = this.places.admit(socket.remoteAddress, () => socket.destroy());
    if (admitted === undefined) {
      socket.destroy();
      return undefined;
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#forget(socket);
      admitted.leave();
    });
    return admitted.place;
  }

  #serveHttp1(socket: Socket, place: Place): void {
    const connection: Http1Connection = new Http1Connection(
      socket,
      place,
      {
        handle: this.#options.handle,
        timeouts: this.#timeouts,
        writes: this.#writes,
        places: this.places,
        onHttp2: () => this.#serveHttp2(socket, place),
      },
      () => this.#http1.delete(connection),
    );
    this.#http1.add(connection);
  }

  #serveHttp2(socket: Socket, place: Place): void {
    if (this.places.isFlooding(socket.remoteAddress)) {
      socket.destroy();
      return;
    }
    const { handle } = this.#options;
    const parts = { place, places: this.places, timeouts: this.#timeouts, writes: this.#writes, floods: this.#floods };
    const session = serveHttp2(socket, handle, parts);
    this.#http2.add(session);
    session.once('close', () => this.#http2.delete(session));
    if (this.#isDraining) session.close();
  }

  #expire(): void {
    const nowMs = performance.now();
    for (const connection of this.#http1) if (nowMs >= connection.deadlineMs) connection.expire();
  }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
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
    throw listenFailed(`${what} visitors (--${what.toLowerCase()}-port)`, host, port, error);
  }
}

const protocolNameSet: ReadonlySet<string> = new Set(protocolNames);

function isProtocolName(name: string): boolean {
  return protocolNameSet.has(name.toLowerCase());
}

/** Ours says so by ALPN; stock connectors offer nothing. A browser that calls that name offers its own protocols. */
function isConnector(socket: TLSSocket): boolean {
  // `servername` is what the peer asked for; Node's types know it of clients only.
  const { servername } = socket as { readonly servername?: string | false | undefined };
  const offered = socket.alpnProtocol;
  return servername === http2ServerName && (offered === connectorAlpn || offered === false || offered === null);
}
