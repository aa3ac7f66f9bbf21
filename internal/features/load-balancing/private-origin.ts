// HTTP/1.1 to a private address or name, spoken by the edge over a TCP flow through the tunnel of its route. One flow a
// request. What may be reached is the private network's to judge, as for any other way into it.

import { type ClientRequest, type IncomingMessage, request as openRequest } from 'node:http';
import { Duplex } from 'node:stream';
import type { Carrier } from '../../carriers/carrier.ts';
import { isPosternError, PosternError } from '../../errors/error.ts';
import { formatHostPort } from '../../net/address/host-port.ts';
import type { HeaderList } from '../../net/http/header-list.ts';
import { headerValue } from '../../net/http/header-list.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import { formatPrivateHost, type PrivateHost } from '../../private-network/routes/private-host.ts';
import type { Visitor } from '../../private-network/visitor.ts';
import type { NetworkRecord } from '../../store/contract/records.ts';
import type { EdgeResponse, OutgoingStream, RequestHead } from '../../transport/transport.ts';

/** As connectors take from their origins. */
const maxHeadBytes = 64 * 1024;

export class PrivateOrigin implements Carrier {
  readonly #network: PrivateNetwork;
  readonly #vnet: NetworkRecord;
  readonly #host: PrivateHost;
  readonly #port: number;

  constructor(network: PrivateNetwork, vnet: NetworkRecord, host: PrivateHost, port: number) {
    this.#network = network;
    this.#vnet = vnet;
    this.#host = host;
    this.#port = port;
  }

  request(head: RequestHead): OutgoingStream {
    return new PrivateExchange(head, stream => this.open(stream, headerValue(head.headers, 'cf-connecting-ip') ?? ''));
  }

  /**
   * Opens a bare TCP stream for as long as `owner` is not closed; throws as `PrivateNetwork.openTcp`.
   * @param port in the place of the member's own
   */
  async open(owner: Duplex, sourceAddress: string, port = this.#port): Promise<Duplex> {
    const who: Visitor = { onRamp: 'load-balancer', network: this.#vnet, sourceAddress, sourcePort: 0 };
    const { stream, flow } = await this.#network.openTcp(who, this.#host, port, owner);
    // Whatever is left of it then, nobody wants.
    owner.once('close', () => flow.cut('closed'));
    return stream;
  }

  /** The same origin at another port. */
  at(port: number): PrivateOrigin {
    return new PrivateOrigin(this.#network, this.#vnet, this.#host, port);
  }

  /** `host:port` as HTTP writes it. */
  get authority(): string {
    const host = formatPrivateHost(this.#host);
    return this.#port === 80 && !host.includes(':') ? host : formatHostPort(host, this.#port);
  }
}

/** One request and its answer. */
class PrivateExchange implements OutgoingStream {
  readonly body: Duplex;
  readonly response: Promise<EdgeResponse>;
  trailers: HeaderList = [];
  readonly #request: ClientRequest;
  #reader: IncomingMessage | Duplex | undefined;
  #writer: ClientRequest | Duplex;

  constructor(head: RequestHead, open: (owner: Duplex) => Promise<Duplex>) {
    const answer = Promise.withResolvers<EdgeResponse>();
    this.response = answer.promise;
    // Whoever does not wait for the answer must not end the program.
    this.response.catch(() => undefined);
    this.body = new Duplex({
      allowHalfOpen: true,
      read: () => void this.#reader?.resume(),
      write: (chunk: Buffer, _encoding, done) => void this.#writer.write(chunk, () => done()),
      final: done => void this.#writer.end(() => done()),
      destroy: (_error, done) => {
        this.#request.destroy();
        if (this.#writer !== this.#request) this.#writer.destroy();
        done(null);
      },
    });
    const fail = (error: unknown): void => {
      answer.reject(failureOf(error));
      this.body.destroy();
    };
    this.#request = openRequest({
      method: head.method,
      path: head.path,
      headers: headersOf(head),
      maxHeaderSize: maxHeadBytes,
      createConnection: (_options, connected) => {
        open(this.body).then(
          stream => connected(null, stream),
          (error: Error) => connected(error, undefined as unknown as Duplex),
        );
        return undefined;
      },
    });
    this.#writer = this.#request;
    const tell = (message: IncomingMessage): void =>
      answer.resolve({ status: message.statusCode ?? 0, headers: message.rawHeaders });
    this.#request.on('error', fail);
    this.#request.once('response', message => {
      message.once('end', () => {
        this.trailers = message.rawTrailers;
      });
      message.on('error', fail);
      this.#read(message);
      tell(message);
    });
    this.#request.once('upgrade', (message, socket, first) => {
      this.#writer = socket;
      socket.on('error', fail);
      if (first.byteLength > 0) socket.unshift(first);
      this.#read(socket);
      tell(message);
    });
    if (head.kind === 'http' && head.bodyLength === 0) this.body.end();
    else this.#request.flushHeaders();
  }

  reset(): void {
    this.body.destroy();
    this.#request.destroy(new PosternError('stream.reset', 'The request was given up.'));
  }

  #read(reader: IncomingMessage | Duplex): void {
    this.#reader = reader;
    reader.on('data', (chunk: Buffer) => {
      if (!this.body.push(chunk)) reader.pause();
    });
    reader.once('end', () => this.body.push(null));
    reader.once('close', () => {
      if (!reader.readableEnded) this.body.destroy();
    });
  }
}

/** Framing and connection are said here; the rest is the visitor's. */
function headersOf(head: RequestHead): string[] {
  const headers = ['Host', head.host];
  for (let index = 0; index + 1 < head.headers.length; index += 2) {
    const name = head.headers[index] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'host' || lower === 'content-length' || lower === 'transfer-encoding') continue;
    headers.push(name, head.headers[index + 1] ?? '');
  }
  if (head.kind === 'websocket') return [...headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket'];
  if (head.bodyLength < 0) headers.push('Transfer-Encoding', 'chunked');
  else if (head.bodyLength > 0 || !isWithoutBody(head.method)) headers.push('Content-Length', String(head.bodyLength));
  return [...headers, 'Connection', 'close'];
}

/** Methods that say nothing of a body by having none. */
function isWithoutBody(method: string): boolean {
  return ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'DELETE'].includes(method);
}

/** What the forwarder understands: a flow that was not to be had is an origin that was not reached. */
function failureOf(error: unknown): PosternError {
  if (isPosternError(error, 'connection.lost') || isPosternError(error, 'flow.limit')) return error;
  if (isPosternError(error, 'stream.reset')) return error;
  return new PosternError('origin.unreachable', 'The private origin could not be reached, or its answer was none.', {
    cause: error,
  });
}
