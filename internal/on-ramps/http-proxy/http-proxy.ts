// The HTTP proxy on-ramp: CONNECT into a virtual network, nothing else. Source: RFC 9110 §9.3.6 (CONNECT), §11.7.2
// (Proxy-Authorization), RFC 7617 (Basic); issue "private networks" point 5.

import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describeError, isPosternError } from '../../errors/error.ts';
import { plainAddress } from '../../net/address/ip.ts';
import { AddressLimiter, type AddressLimits } from '../../net/limits/address-limiter.ts';
import { type PrivateHost, parsePrivateHost } from '../../private-network/private-host.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Admission, Credentials } from '../admission.ts';
import { joinFlow } from '../join-flow.ts';
import { handshakeLimits, type ListenOptions, maxConnections, serverListener, type TcpListener } from '../listener.ts';

export interface HttpProxyOptions extends ListenOptions {
  readonly network: PrivateNetwork;
  readonly admission: Admission;
  readonly logger: Logger;
  /** Default: `handshakeLimits`. */
  readonly handshakeLimits?: AddressLimits;
}

const headersTimeoutMs = 10_000;
/** How often Node looks for heads that take too long; its default would let them take 40 s. */
const headersCheckMs = 5_000;

/** Listens. Throws 'listen.failed'. */
export function openHttpProxy(options: HttpProxyOptions): Promise<TcpListener> {
  const sockets = new Set<Socket>();
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: headersTimeoutMs,
    keepAliveTimeout: headersTimeoutMs,
    connectionsCheckingInterval: headersCheckMs,
    // A client that vanished ends its flow, as on every on-ramp.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    maxHeaderSize: 16 * 1024,
    noDelay: true,
  });
  server.maxConnections = maxConnections;
  const handshakes = new AddressLimiter(options.handshakeLimits ?? handshakeLimits);
  const places = new WeakMap<Socket, () => void>();
  server.on('connection', (socket: Socket) => {
    const leave = handshakes.admit(socket.remoteAddress);
    if (leave === undefined) {
      options.admission.refused.connections += 1;
      socket.on('error', ignore).destroy();
      return;
    }
    places.set(socket, leave);
    sockets.add(socket);
    socket.on('error', ignore).on('close', () => {
      leave();
      sockets.delete(socket);
    });
  });
  server.on('request', (_request, response) => {
    // A client that is refused may send CONNECT on the same connection; one with a body has to start again.
    response.writeHead(405, { Allow: 'CONNECT', 'Content-Type': 'text/plain', Connection: 'close' });
    response.end('This proxy serves CONNECT only.\n');
  });
  server.on('connect', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const socket = stream as Socket;
    // At once, while the socket's own end is still to come: behind it nothing can be put back.
    if (head.length > 0) socket.unshift(head);
    serve(request, socket, options, () => places.get(socket)?.()).catch((error: unknown) => {
      options.logger.debug({ src: socket.remoteAddress, error: describeError(error) }, 'Proxy client not served');
      refuse(socket, error);
    });
  });
  return serverListener(server, options, sockets);
}

async function serve(
  request: IncomingMessage,
  socket: Socket,
  { admission, network }: HttpProxyOptions,
  admitted: () => void,
): Promise<void> {
  const credentials = readBasic(request.headers['proxy-authorization']);
  const vnet = await admission.admit(credentials, socket.remoteAddress ?? '');
  admitted();
  const target = parseAuthority(request.url ?? '');
  if (target === undefined) {
    answer(socket, '400 Bad Request', [], 'CONNECT needs HOST:PORT.');
    return;
  }
  const visitor = {
    onRamp: 'http-proxy',
    network: vnet,
    sourceAddress: plainAddress(socket.remoteAddress),
    sourcePort: socket.remotePort ?? 0,
  } as const;
  const flow = await network.openTcp(visitor, target.host, target.port, socket);
  socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
  joinFlow(socket, flow);
}

/** `user:password` in Base64; undefined when there is none or it is something else. */
function readBasic(header: string | undefined): Credentials | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]{1,1024}={0,2})$/i.exec(header ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** `host:port` or `[v6]:port`. */
function parseAuthority(text: string): { host: PrivateHost; port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([^[\]:/@\s]{1,255})):(\d{1,5})$/.exec(text);
  const host = parsePrivateHost(match?.[1] ?? match?.[2] ?? '');
  const port = Number(match?.[3]);
  return host === undefined || !(port >= 1 && port <= 65_535) ? undefined : { host, port };
}

function refuse(socket: Socket, error: unknown): void {
  const code = isPosternError(error) ? error.code : 'internal';
  const text = isPosternError(error) ? error.message : 'Internal error.';
  switch (code) {
    case 'credentials.refused':
      answer(
        socket,
        '407 Proxy Authentication Required',
        ['Proxy-Authenticate: Basic realm="virtual network and API token"'],
        text,
      );
      return;
    case 'api.rate-limited':
      answer(socket, '429 Too Many Requests', ['Retry-After: 60'], text);
      return;
    case 'flow.denied':
      answer(socket, '403 Forbidden', [], text);
      return;
    case 'flow.limit':
      answer(socket, '503 Service Unavailable', ['Retry-After: 10'], text);
      return;
    case 'dial.timeout':
      answer(socket, '504 Gateway Timeout', [], text);
      return;
    case 'internal':
      answer(socket, '500 Internal Server Error', [], text);
      return;
    default:
      answer(socket, '502 Bad Gateway', [], text);
  }
}

function answer(socket: Socket, status: string, headers: readonly string[], text: string): void {
  const body = `${text}\n`;
  const lines = [
    `HTTP/1.1 ${status}`,
    ...headers,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
  socket.destroySoon();
}

function ignore(): void {
  // The 'close' that follows is what counts.
}
