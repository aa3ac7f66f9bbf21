// Opens a connection to an origin: resolve, connect (with happy eyeballs), TLS. Every failure names its hop and every
// wait has a deadline. Source: docs/protocol/ingress-and-origin.md §4 (connectTimeout, tlsTimeout, tcpKeepAlive,
// noHappyEyeballs), §8.1.

import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { connect, isIP, type LookupFunction, type NetConnectOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import { foreignCode, PosternError } from '../../errors/error.ts';
import { formatHostPort, parseHostPort } from '../../net/address/host-port.ts';
import { type IpBytes, parseIp } from '../../net/address/ip.ts';
import { lookupHost, socketLookup } from '../../net/address/lookup-host.ts';
import type { ForwardProxy } from '../../net/proxy/forward-proxy.ts';
import { openProxyTunnel } from '../../net/proxy/proxy-tunnel.ts';
import { boundUnsent } from '../../net/stream/bound-unsent.ts';
import { originFailure, originTimeout } from '../exchange/failure.ts';

export type DialTarget =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export type TcpTarget = Extract<DialTarget, { kind: 'tcp' }>;

export interface DialSettings {
  readonly connectTimeoutMs: number;
  /** 0 = off. */
  readonly tcpKeepAliveMs: number;
  readonly noHappyEyeballs: boolean;
  /** Keep our half open after the origin's FIN; for raw streams. */
  readonly halfOpen?: boolean;
  /** Forward proxy on the way; the target is reached by a tunnel through it. */
  readonly via?: ForwardProxy | undefined;
  /** Asked about every address before anything is sent to it, those that a name resolves to included. */
  readonly allow?: AllowAddress | undefined;
  /** How names are resolved; undefined = as the system does. */
  readonly lookup?: NameLookup | undefined;
  /** Told how long a dial took that succeeded, TLS included, in milliseconds. */
  readonly onConnected?: ((tookMs: number) => void) | undefined;
}

/** What the owner of an origin wants to say about, and to know of, its dials. */
export type DialCare = Pick<DialSettings, 'allow' | 'onConnected'>;

/** Gives every address of a name, of one family or (0) of both. Calls `done` once. */
export type NameLookup = (
  host: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Whether an address (4 bytes, or 16) may be dialled. Must not throw. */
export type AllowAddress = (address: IpBytes, port: number) => boolean;

export interface DialTls {
  /** Name sent as SNI (unless an IP address) and verified. */
  readonly serverName: string;
  readonly context: SecureContext;
  /** False skips verification (noTLSVerify). */
  readonly verify: boolean;
  readonly alpn: readonly string[];
  readonly timeoutMs: number;
  /** Last session of this name, for resumption; replaced by the dial. */
  session?: Buffer | undefined;
}

export type DialDone = (error: PosternError | undefined, socket: Socket | TLSSocket | undefined) => void;

/** A running dial; `cancel` ends it without a call of `done`, and does nothing once that was called. */
export interface Dial {
  cancel(): void;
}

/** `host:port`, or the path of a socket: how logs and errors call a target. */
export function targetText(target: DialTarget): string {
  if (target.kind === 'unix') return `unix:${target.path}`;
  return formatHostPort(target.host, target.port);
}

/** What a visitor names: `host:port` or `[v6]:port`. Undefined when it is neither, or names an interface of this machine. */
export function parseTarget(text: string): TcpTarget | undefined {
  const parsed = parseHostPort(text);
  return parsed === undefined || parsed.host.includes('%') ? undefined : { kind: 'tcp', ...parsed };
}

/**
 * Dials. `done` is called once, never synchronously, with a socket that is connected (and secured) and survives errors
 * (an 'error' listener that does nothing stays on it), or with a PosternError whose details name the hop. The caller owns the socket.
 */
export function dial(target: DialTarget, settings: DialSettings, tls: DialTls | undefined, done: DialDone): Dial {
  const { allow } = settings;
  // Literal addresses are judged here, names when they are resolved.
  if (
    allow !== undefined &&
    target.kind === 'tcp' &&
    isIP(target.host) !== 0 &&
    !allows(allow, target.host, target.port)
  )
    return refuseDial(target, done);
  return new RunningDial(target, settings, tls, done);
}

function refuseDial(target: DialTarget, done: DialDone): Dial {
  let waiting: DialDone | undefined = done;
  process.nextTick(() => waiting?.(notAllowed(targetText(target)), undefined));
  return {
    cancel: () => {
      waiting = undefined;
    },
  };
}

function allows(allow: AllowAddress, text: string, port: number): boolean {
  const address = parseIp(text.replace(/%.*$/, ''));
  return address !== undefined && allow(address, port);
}

function notAllowed(dest: string): PosternError {
  return new PosternError('origin.refused', `The destination ${dest} is not allowed here.`, {
    details: { hop: 'connect', dest },
  });
}

function lookupOption({ allow, lookup: named }: DialSettings, port: number): { lookup: LookupFunction } {
  if (allow === undefined && named === undefined) return { lookup: socketLookup };
  return { lookup: guardedLookup(allow ?? (() => true), port, named ?? lookupHost) };
}

/** A look-up without the addresses that are not allowed; fails when none is left. */
function guardedLookup(allow: AllowAddress, port: number, look: NameLookup): LookupFunction {
  return (host, options, done) => {
    look(host, { ...options, all: true }, (error, found) => {
      const allowed = found?.filter(({ address }) => allows(allow, address, port)) ?? [];
      const [first] = allowed;
      if (error !== null) done(error, []);
      else if (first === undefined) done(notAllowed(targetText({ kind: 'tcp', host, port })), []);
      else if (options.all === true) done(null, allowed);
      else done(null, first.address, first.family);
    });
  };
}

class RunningDial implements Dial {
  readonly #dest: string;
  readonly #tls: DialTls | undefined;
  readonly #target: DialTarget;
  readonly #via: ForwardProxy | undefined;
  readonly #onConnected: ((tookMs: number) => void) | undefined;
  readonly #startMs = performance.now();
  #done: DialDone | undefined;
  #hop: 'connect' | 'tls' = 'connect';
  #socket: Socket | TLSSocket;
  #timer: NodeJS.Timeout | undefined;

  constructor(target: DialTarget, settings: DialSettings, tls: DialTls | undefined, done: DialDone) {
    this.#target = target;
    this.#tls = tls;
    this.#done = done;
    this.#dest = targetText(target);
    this.#via = settings.via;
    this.#onConnected = settings.onConnected;
    this.#socket = connect(socketOptions(settings.via === undefined ? target : proxyTarget(settings.via), settings));
    this.#socket.once('connect', this.#onConnect).on('error', this.#onError);
    this.#deadline('connect', settings.connectTimeoutMs);
  }

  cancel(): void {
    if (this.#done === undefined) return;
    this.#done = undefined;
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }

  #deadline(hop: 'connect' | 'tls', timeoutMs: number): void {
    clearTimeout(this.#timer);
    if (timeoutMs > 0) this.#timer = setTimeout(() => this.#fail(originTimeout(hop, this.#dest, timeoutMs)), timeoutMs);
  }

  readonly #onConnect = (): void => {
    const via = this.#via;
    const target = this.#target;
    void boundUnsent(this.#socket);
    if (via === undefined || target.kind === 'unix') this.#onReached(this.#socket);
    else if (via.kind === 'https') {
      // The name of the proxy is verified against Node's own roots: a rule's caPool is for its origin.
      this.#secure(this.#socket, { servername: isIP(via.host) === 0 ? via.host : '', host: via.host }, secure =>
        this.#tunnel(secure, via, target.host, target.port),
      );
    } else this.#tunnel(this.#socket, via, target.host, target.port);
  };

  #tunnel(socket: Socket, via: ForwardProxy, host: string, port: number): void {
    socket.off('error', this.#onError).on('error', this.#onError);
    openProxyTunnel(socket, via, host, port).then(
      tunnel => this.#onReached(tunnel),
      error => this.#onError(error),
    );
  }

  /** The socket leads to the target; TLS, where it is wanted, comes now. */
  #onReached(socket: Socket): void {
    const tls = this.#tls;
    if (this.#done === undefined) socket.destroy();
    else if (tls === undefined) this.#succeed(socket.off('error', this.#onError));
    else {
      this.#hop = 'tls';
      this.#deadline('tls', tls.timeoutMs);
      this.#secure(socket, tlsOptions(tls, this.#target), secure => this.#succeed(secure)).on('session', session => {
        tls.session = session;
      });
    }
  }

  #secure(plain: Socket, options: ConnectionOptions, ready: (secure: TLSSocket) => void): TLSSocket {
    plain.off('error', this.#onError).on('error', ignore);
    const secure = connectTls({ ...options, socket: plain });
    this.#socket = secure;
    return secure
      .once('secureConnect', () => ready(secure.off('error', this.#onError).off('close', this.#onClose)))
      .on('error', this.#onError)
      .on('close', this.#onClose);
  }

  readonly #onError = (error: Error): void => {
    const hop = this.#hop === 'connect' && isResolveError(error) ? 'resolve' : this.#hop;
    this.#fail(originFailure(hop, this.#dest, error));
  };

  /** A peer that closes in the middle of the handshake may give no error. */
  readonly #onClose = (): void => {
    this.#fail(originFailure(this.#hop, this.#dest, new Error('the peer closed the connection during the handshake')));
  };

  #succeed(socket: Socket | TLSSocket): void {
    clearTimeout(this.#timer);
    const done = this.#done;
    this.#done = undefined;
    socket.on('error', ignore);
    if (done === undefined) socket.destroy();
    else {
      this.#onConnected?.(performance.now() - this.#startMs);
      done(undefined, socket);
    }
  }

  #fail(error: PosternError): void {
    clearTimeout(this.#timer);
    const done = this.#done;
    this.#done = undefined;
    this.#socket.destroy();
    done?.(error, undefined);
  }
}

function proxyTarget(proxy: ForwardProxy): DialTarget {
  return { kind: 'tcp', host: proxy.host, port: proxy.port };
}

/** Whoever reads or writes the socket sees its 'close'; an error in between must not end the process. */
function ignore(): void {
  // See above.
}

function socketOptions(target: DialTarget, settings: DialSettings): NetConnectOpts {
  const allowHalfOpen = settings.halfOpen ?? false;
  if (target.kind === 'unix') return { path: target.path, allowHalfOpen };
  return {
    host: target.host,
    port: target.port,
    allowHalfOpen,
    noDelay: true,
    keepAlive: settings.tcpKeepAliveMs > 0,
    keepAliveInitialDelay: settings.tcpKeepAliveMs,
    ...lookupOption(settings, target.port),
    // Without happy eyeballs the addresses are still tried one after the other, each only when the one before failed.
    autoSelectFamily: true,
    ...(settings.noHappyEyeballs && settings.connectTimeoutMs > 0
      ? { autoSelectFamilyAttemptTimeout: Math.max(settings.connectTimeoutMs, 10) }
      : {}),
  };
}

function tlsOptions(tls: DialTls, target: DialTarget): ConnectionOptions {
  const host = tls.serverName !== '' || target.kind === 'unix' ? tls.serverName : target.host;
  return {
    host,
    // SNI carries names only (RFC 6066 §3); an IP address is still verified against the certificate through `host`.
    servername: isIP(host) === 0 ? host : '',
    secureContext: tls.context,
    rejectUnauthorized: tls.verify,
    ALPNProtocols: [...tls.alpn],
    session: tls.session,
  };
}

function isResolveError(error: Error): boolean {
  const code = foreignCode(error);
  return code === 'ENOTFOUND' || code === 'EAI_AGAIN' || ('syscall' in error && error.syscall === 'getaddrinfo');
}
