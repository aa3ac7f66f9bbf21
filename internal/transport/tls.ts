// TLS towards the edge: key exchange groups, private roots and CA pins, and the translation of dial errors.
// Source: docs/protocol/edge-protocol.md §5 (names, groups, no ALPN on TCP, TLS 1.2 at least); RFC 8446.

import type { X509Certificate } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTlsSocket, type TLSSocket } from 'node:tls';
import { foreignCode, PosternError } from '../errors/error.ts';
import { formatHostPort } from '../net/address/host-port.ts';
import { socketLookup } from '../net/address/lookup-host.ts';
import { dialThroughProxy, type ProxiedSocket } from '../net/proxy/dial-proxy.ts';
import { boundUnsent, unsentBytesOfMany } from '../net/stream/bound-unsent.ts';
import { spkiPin } from '../net/trust/spki-pin.ts';
import { systemRoots } from '../net/trust/system-roots.ts';
import type { DialOptions } from './transport.ts';

/** OpenSSL names, best first. P-256 follows because edges without ML-KEM ask for it by HelloRetryRequest. */
export const preferredGroups = 'X25519MLKEM768:P-256';
const postQuantumGroups = 'X25519MLKEM768';

/**
 * What a connector offers by ALPN on a port that visitors use too; there an edge knows stock connectors, which
 * offer nothing, by the name alone. On the connectors' own port nothing is offered.
 */
export const connectorAlpn = 'postern-connector';

/** The name by which connectors call an edge over TCP (docs/protocol/edge-protocol.md §5). */
export const http2ServerName = 'h2.cftunnel.com';

/** A connection after its handshake. */
export interface SecuredSocket {
  readonly socket: TLSSocket;
  /** Of the TCP connection beneath: a socket over TLS with a proxy does not know it. '' when it is not known. */
  readonly localAddress: string;
}

/**
 * Connect and finish the TLS handshake within `options.timeoutMs`. The socket is the caller's to close.
 * Throws 'dial.failed', 'dial.timeout' or 'tls.failed', with `isClock` in its details where the clock may be at fault.
 */
export async function connectTls(options: DialOptions): Promise<SecuredSocket> {
  const deadline = performance.now() + options.timeoutMs;
  const { socket: way, localAddress } = await openWay(options, deadline);
  try {
    return { socket: await handshake(way, options, deadline), localAddress };
  } catch (error) {
    way.destroy();
    throw error;
  }
}

async function openWay(options: DialOptions, deadline: number): Promise<ProxiedSocket> {
  if (options.proxy !== undefined) return dialThroughProxy({ ...options, proxy: options.proxy });
  const socket = await connectSocket(options, deadline);
  return { socket, localAddress: socket.localAddress ?? '' };
}

function target(options: DialOptions): string {
  return formatHostPort(options.host, options.port);
}

function connectSocket(options: DialOptions, deadline: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({
      host: options.host,
      port: options.port,
      lookup: socketLookup,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 15_000,
      localAddress: options.localAddress,
    });
    const settle = settler(socket, options, deadline, reject, 'Connecting');
    socket.once('connect', () => {
      settle.done();
      resolve(socket);
    });
    socket.once('error', error => {
      const reason = foreignCode(error) ?? 'no answer';
      settle.fail(
        new PosternError(
          'dial.failed',
          `Cannot connect to the edge ${target(options)} (${reason}); check the address and the firewall.`,
          { cause: error },
        ),
      );
    });
  });
}

function handshake(tcp: Socket, options: DialOptions, deadline: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const pinned = options.caPin !== undefined;
    void boundUnsent(tcp, unsentBytesOfMany);
    const socket = connectTlsSocket({
      socket: tcp,
      servername: options.serverName,
      ...(options.sharedPort === true ? { ALPNProtocols: [connectorAlpn] } : {}),
      // TLS 1.2 has key exchanges that no list of groups forbids.
      minVersion: options.postQuantum === true ? 'TLSv1.3' : 'TLSv1.2',
      ecdhCurve: options.postQuantum === true ? postQuantumGroups : preferredGroups,
      // With a pin the chain is verified below, before a byte is sent, against the pinned CA that the edge presents.
      rejectUnauthorized: !pinned,
      // Nothing instead of an empty list would make OpenSSL read all of Node's own roots: 10 ms and 2 MB.
      ca: pinned ? [] : [...(options.ca ?? systemRoots())],
    });
    const settle = settler(socket, options, deadline, reject, 'The TLS handshake');
    socket.once('secureConnect', () => {
      const problem = options.caPin === undefined ? undefined : pinProblem(socket, options.caPin, options.serverName);
      if (problem !== undefined) {
        const details = { isClock: problem.isClock };
        settle.fail(new PosternError('tls.failed', `The edge ${target(options)} ${problem.text}.`, { details }));
        return;
      }
      settle.done();
      resolve(socket);
    });
    socket.once('error', error => {
      const reason = foreignCode(error) ?? error.message;
      settle.fail(
        new PosternError(
          'tls.failed',
          `The TLS handshake with the edge ${target(options)} failed (${reason}); ${handshakeRemedy(reason, options)}.`,
          { cause: error, details: { isClock: clockReasons.has(reason) } },
        ),
      );
    });
    socket.once('close', () => {
      settle.fail(
        new PosternError('tls.failed', `The edge ${target(options)} closed the connection during the TLS handshake.`),
      );
    });
  });
}

/** One of `done` and `fail` acts, once; a deadline and the caller's signal fail by themselves. */
function settler(
  socket: Socket,
  options: DialOptions,
  deadline: number,
  reject: (error: PosternError) => void,
  what: string,
): { done(): void; fail(error: PosternError): void } {
  let settled = false;
  const finish = (): boolean => {
    if (settled) return false;
    settled = true;
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
    socket.removeAllListeners('close');
    return true;
  };
  const fail = (error: PosternError): void => {
    if (!finish()) return;
    // Destroying a connecting socket may still emit an error, which nobody waits for any more.
    socket.on('error', () => undefined);
    socket.destroy();
    reject(error);
  };
  const onAbort = (): void =>
    fail(new PosternError('connection.closed', `Dialling the edge ${target(options)} was given up.`));
  const timer = setTimeout(
    () =>
      fail(
        new PosternError(
          'dial.timeout',
          `${what} with the edge ${target(options)} took longer than ${options.timeoutMs} ms.`,
        ),
      ),
    Math.max(1, deadline - performance.now()),
  );
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted === true) queueMicrotask(onAbort);
  const done = (): void => {
    if (finish()) socket.removeAllListeners('error');
  };
  return { done, fail };
}

/** What OpenSSL says of certificates of another time. */
const clockReasons: ReadonlySet<string> = new Set(['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED']);

function handshakeRemedy(reason: string, { port }: DialOptions): string {
  if (clockReasons.has(reason))
    return `check the clock of this machine, which says ${new Date().toISOString()}, and the certificate of the edge`;
  return `check --cacert and that port ${port} is an edge`;
}

/** `isClock`: the clock of this machine may be at fault. */
interface PinProblem {
  readonly text: string;
  readonly isClock: boolean;
}

/** What is wrong with the presented chain under a pin, or undefined when it is right. */
function pinProblem(socket: TLSSocket, pin: string, serverName: string): PinProblem | undefined {
  const problem = (text: string, isClock = false): PinProblem => ({ text, isClock });
  const leaf = socket.getPeerX509Certificate();
  const ca = leaf === undefined ? undefined : pinnedIssuer(leaf, pin);
  if (leaf === undefined || ca === undefined)
    return problem('did not present the certificate authority that the token pins; get a new token if it was replaced');
  if (!leaf.checkIssued(ca) || !leaf.verify(ca.publicKey))
    return problem(
      'presented a certificate that the pinned authority did not sign; get a new token if it was replaced',
    );
  const now = Date.now();
  if (now < leaf.validFromDate.getTime() || now > leaf.validToDate.getTime()) {
    const validity = `${leaf.validFromDate.toISOString()} to ${leaf.validToDate.toISOString()}`;
    const says = `check the clock of this machine, which says ${new Date(now).toISOString()}`;
    return problem(`presented a certificate that is valid from ${validity}; ${says}`, true);
  }
  if (leaf.checkHost(serverName) === undefined)
    return problem(`presented a certificate that does not name ${serverName}`);
  return undefined;
}

function pinnedIssuer(leaf: X509Certificate, pin: string): X509Certificate | undefined {
  let current = leaf.issuerCertificate;
  // A presented chain is short; the bound also ends the self-signed root's reference to itself.
  for (let depth = 0; depth < 8 && current !== undefined; depth += 1) {
    if (spkiPin(current) === pin) return current;
    current = current.issuerCertificate;
  }
  return undefined;
}
