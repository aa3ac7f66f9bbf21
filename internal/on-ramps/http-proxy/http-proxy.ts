// The HTTP proxy on-ramp: CONNECT into a virtual network; requests for http:// URLs are forward-request.ts. Source:
// RFC 9110 §9.3.6 (CONNECT), §11.7.2 (Proxy-Authorization), RFC 7617 (Basic).

import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describeError, isPosternError, PosternError } from '../../errors/error.ts';
import { plainAddress } from '../../net/address/ip.ts';
import { answerHalfClosed } from '../../net/http/half-closed.ts';
import { AddressLimiter, type AddressLimits } from '../../net/limits/address-limiter.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import { parsePrivateTarget } from '../../private-network/routes/private-host.ts';
import type { Visitor } from '../../private-network/visitor.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Admission, Credentials } from '../entrance/admission.ts';
import { joinFlow } from '../entrance/join-flow.ts';
import {
  handshakeLimits,
  type ListenOptions,
  maxConnections,
  serverListener,
  type TcpListener,
} from '../entrance/listener.ts';
import { forwardRequest } from './forward-request.ts';

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
    // Bodies may take as long as they flow.
    requestTimeout: 0,
    keepAliveTimeout: headersTimeoutMs,
    connectionsCheckingInterval: headersCheckMs,
    // A client that vanished ends its flow, as on every on-ramp.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    maxHeaderSize: 16 * 1024,
    noDelay: true,
  });
  server.maxConnections = maxConnections;
  answerHalfClosed(server);
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
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const admit = async (): Promise<Visitor> => {
      const { socket } = request;
      const visitor = await visitorOf(request, socket, options);
      places.get(socket)?.();
      return visitor;
    };
    forwardRequest(request, response, { admit, network: options.network }).catch((error: unknown) => {
      options.logger.debug({ src: request.socket.remoteAddress, error: describeError(error) }, 'Request not forwarded');
      const { status, headers, text } = refusalOf(error);
      if (response.headersSent) response.destroy();
      else
        response.writeHead(status, { ...headers, 'Content-Type': 'text/plain', Connection: 'close' }).end(`${text}\n`);
    });
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
  options: HttpProxyOptions,
  admitted: () => void,
): Promise<void> {
  const visitor = await visitorOf(request, socket, options);
  admitted();
  const target = parsePrivateTarget(request.url ?? '');
  if (target === undefined) throw new PosternError('usage.invalid', 'CONNECT needs HOST:PORT.');
  const flow = await options.network.openTcp(visitor, target.host, target.port, socket);
  socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
  joinFlow(socket, flow);
}

/** Who asks. Throws what `Admission.admit` throws. */
async function visitorOf(
  request: IncomingMessage,
  socket: Socket,
  { admission }: Pick<HttpProxyOptions, 'admission'>,
): Promise<Visitor> {
  const credentials = readBasic(request.headers['proxy-authorization']);
  return {
    onRamp: 'http-proxy',
    ...(await admission.admit(credentials, socket)),
    sourceAddress: plainAddress(socket.remoteAddress),
    sourcePort: socket.remotePort ?? 0,
  };
}

/** `user:password` in Base64; undefined when there is none or it is something else. */
function readBasic(header: string | undefined): Credentials | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]{1,1024}={0,2})$/i.exec(header ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

interface RefusalAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

function refusalOf(error: unknown): RefusalAnswer {
  if (!isPosternError(error)) return { status: 500, headers: {}, text: 'Internal error.' };
  const text = error.message;
  switch (error.code) {
    case 'usage.invalid':
      return { status: 400, headers: {}, text };
    case 'credentials.refused':
      return { status: 407, headers: { 'Proxy-Authenticate': 'Basic realm="virtual network and API token"' }, text };
    case 'api.rate-limited':
      return { status: 429, headers: { 'Retry-After': '60' }, text };
    case 'flow.denied':
      return { status: 403, headers: {}, text };
    case 'flow.limit':
      return { status: 503, headers: { 'Retry-After': '10' }, text };
    case 'dial.timeout':
      return { status: 504, headers: {}, text };
    default:
      return { status: 502, headers: {}, text };
  }
}

/** To a CONNECT, whose socket node:http has let go of. */
function refuse(socket: Socket, error: unknown): void {
  const { status, headers, text } = refusalOf(error);
  const body = `${text}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
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
