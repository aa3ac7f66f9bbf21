// Dials a host through a forward proxy, for everything that is no origin: edges, documents on the web. The proxy resolves names.
// Source: RFC 9110 §9.3.6; RFC 1928.

import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { foreignCode, PosternError } from '../../errors/error.ts';
import { formatHostPort } from '../address/host-port.ts';
import { systemRoots } from '../trust/system-roots.ts';
import { type ForwardProxy, formatForwardProxy } from './forward-proxy.ts';
import { openProxyTunnel } from './proxy-tunnel.ts';

export interface ProxyDial {
  readonly proxy: ForwardProxy;
  /** A name, which the proxy resolves, or an IP address. */
  readonly host: string;
  readonly port: number;
  readonly localAddress?: string | undefined;
  /** For connecting, TLS with the proxy and its answer together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What leads to the target, and the local address of the TCP connection beneath: a socket over TLS does not know it. */
export interface ProxiedSocket {
  readonly socket: Socket;
  readonly localAddress: string;
}

/**
 * Settles with a socket whose bytes reach the target. Rejects 'dial.failed' when the proxy cannot be reached or refuses,
 * 'dial.timeout' when it says nothing in time, 'tls.failed' when its certificate is not trusted, 'connection.closed' when
 * `signal` fires. Errors name the proxy without user and password.
 */
export async function dialThroughProxy(options: ProxyDial): Promise<ProxiedSocket> {
  const { proxy, signal, timeoutMs } = options;
  const tcp = connect({
    host: proxy.host,
    port: proxy.port,
    localAddress: options.localAddress,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 15_000,
  });
  // Whatever happens to a socket that was given up is nobody's business; until then each step listens for itself.
  tcp.on('error', ignore);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort('late'), timeoutMs);
  const ended = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
  const onEnded = (): void => void tcp.destroy();
  ended.addEventListener('abort', onEnded, { once: true });
  if (ended.aborted) onEnded();
  try {
    const socket = await reach(tcp, options, ended);
    return { socket, localAddress: tcp.localAddress ?? '' };
  } catch (error) {
    tcp.destroy();
    if (signal?.aborted === true)
      throw new PosternError('connection.closed', `Dialling ${target(options)} was given up.`);
    if (stop.signal.aborted) throw late(options);
    throw error instanceof PosternError ? error : refused(options, error);
  } finally {
    clearTimeout(timer);
    ended.removeEventListener('abort', onEnded);
  }
}

async function reach(tcp: Socket, options: ProxyDial, signal: AbortSignal): Promise<Socket> {
  const { proxy, host, port } = options;
  // `once` rejects when the socket reports an error, and by `signal` when it was destroyed without one.
  await once(tcp, 'connect', { signal }).catch((error: unknown) => {
    if (signal.aborted) throw error;
    throw unreachable(options, error);
  });
  const socket = proxy.kind === 'https' ? await secure(tcp, options, signal) : tcp;
  return openProxyTunnel(socket, proxy, host, port);
}

async function secure(tcp: Socket, options: ProxyDial, signal: AbortSignal): Promise<Socket> {
  const { host } = options.proxy;
  const socket = connectTls({
    socket: tcp,
    host,
    servername: isIP(host) === 0 ? host : '',
    minVersion: 'TLSv1.2',
    ca: [...systemRoots()],
  });
  socket.on('error', ignore);
  // A peer that closes in the middle of the handshake may give no error.
  const closed = new AbortController();
  socket.once('close', () => closed.abort());
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.any([signal, closed.signal]) });
  } catch (error) {
    if (signal.aborted) throw error;
    const reason =
      closed.signal.aborted && foreignCode(error) === 'ABORT_ERR' ? 'it closed the connection' : reasonOf(error);
    throw new PosternError(
      'tls.failed',
      `The TLS handshake with the proxy ${formatForwardProxy(options.proxy)} failed (${reason}); ` +
        'its certificate must be trusted by this machine.',
    );
  }
  return socket;
}

function target({ host, port }: ProxyDial): string {
  return formatHostPort(host, port);
}

function unreachable(options: ProxyDial, cause: unknown): PosternError {
  return new PosternError(
    'dial.failed',
    `Cannot connect to the proxy ${formatForwardProxy(options.proxy)} (${reasonOf(cause)}); check its address.`,
    { cause },
  );
}

/** The cause is left out: that of the SOCKS library holds the password. */
function refused(options: ProxyDial, cause: unknown): PosternError {
  return new PosternError(
    'dial.failed',
    `The proxy ${formatForwardProxy(options.proxy)} does not lead to ${target(options)}: ${reasonOf(cause)}.`,
  );
}

function late(options: ProxyDial): PosternError {
  return new PosternError(
    'dial.timeout',
    `The proxy ${formatForwardProxy(options.proxy)} has not led to ${target(options)} within ${options.timeoutMs} ms.`,
  );
}

function reasonOf(error: unknown): string {
  const code = foreignCode(error);
  if (code !== undefined) return code;
  return error instanceof Error ? error.message : String(error);
}

function ignore(): void {
  // See dialThroughProxy.
}
