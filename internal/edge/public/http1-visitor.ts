// A visitor over HTTP/1.1: node:http's parser reads the request strictly, and what it lets through but a proxy must not
// is refused here. Source: RFC 9112 §3.2 (request target and Host), §6.1 (framing); RFC 9110 §7.8 (upgrade).

import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { HeaderList } from '../../transport/transport.ts';
import type { ResponseBody, VisitorRequest, VisitorResponse } from './visitor.ts';

/** Letters, digits and what an authority may hold; nothing that could end a line or a host. */
const authority = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::\d{1,5})?$/;

/** What is wrong with a request that the parser accepted, or the request. */
export function readHttp1(message: IncomingMessage, upgrade: boolean): VisitorRequest | 'bad' {
  let hosts = 0;
  let chunked = false;
  let length = 0;
  const { rawHeaders } = message;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    if (name === 'host') hosts += 1;
    else if (name === 'transfer-encoding') chunked = true;
    else if (name === 'content-length') length = Number(value);
  }
  const target = parseTarget(message.url ?? '/', message.method ?? 'GET');
  const host = target?.host ?? message.headers.host ?? '';
  if (hosts > 1 || target === undefined || !authority.test(host)) return 'bad';
  const { socket } = message;
  return {
    method: message.method ?? 'GET',
    scheme: socket instanceof TLSSocket ? 'https' : 'http',
    host,
    path: target.path,
    headers: rawHeaders,
    remoteAddress: plainAddress(socket.remoteAddress ?? ''),
    remotePort: socket.remotePort ?? 0,
    bodyLength: chunked ? -1 : length,
    body: message,
    upgrade,
  };
}

/** An IPv4-mapped address as IPv4. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

/** Origin form, absolute form (whose authority then counts) or `*`; undefined for anything else. */
function parseTarget(url: string, method: string): { path: string; host?: string } | undefined {
  if (url.startsWith('/')) return { path: url };
  if (url === '*') return method === 'OPTIONS' ? { path: '*' } : undefined;
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url);
  if (absolute === null) return undefined;
  const [, host = '', rest = ''] = absolute;
  return { host, path: rest.startsWith('/') ? rest : `/${rest}` };
}

export class Http1Response implements VisitorResponse {
  readonly #response: ServerResponse;
  readonly #upgraded: { readonly socket: Duplex; readonly head: Buffer } | undefined;
  readonly #expectsContinue: boolean;
  #continued = false;
  #gone: (() => void) | undefined;

  private constructor(
    response: ServerResponse,
    upgraded: { socket: Duplex; head: Buffer } | undefined,
    expectsContinue: boolean,
  ) {
    this.#response = response;
    this.#upgraded = upgraded;
    this.#expectsContinue = expectsContinue;
    response.on('error', () => undefined);
    response.once('close', () => {
      if (!response.writableFinished) this.#gone?.();
    });
  }

  static ordinary(response: ServerResponse, expectsContinue: boolean): Http1Response {
    return new Http1Response(response, undefined, expectsContinue);
  }

  /** For a request with `Upgrade`, whose socket node:http has let go of. */
  static upgrading(message: IncomingMessage, socket: Duplex, head: Buffer): Http1Response {
    const response = new ServerResponse(message);
    response.shouldKeepAlive = false;
    response.assignSocket(message.socket);
    response.once('finish', () => socket.end());
    return new Http1Response(response, { socket, head }, false);
  }

  onGone(handler: () => void): void {
    this.#gone = handler;
    if (this.#response.destroyed) handler();
  }

  continue(): void {
    if (!this.#expectsContinue || this.#continued || this.#response.headersSent || this.#response.destroyed) return;
    this.#continued = true;
    this.#response.writeContinue();
  }

  start(status: number, headers: HeaderList, options: { hasBody: boolean }): ResponseBody | undefined {
    const response = this.#response;
    if (response.headersSent || response.destroyed) return undefined;
    // A visitor who was never asked for its body must not have what it sends later taken for a request.
    if (this.#expectsContinue && !this.#continued) response.shouldKeepAlive = false;
    response.writeHead(status, [...headers]);
    if (!options.hasBody) {
      response.end();
      return undefined;
    }
    // Node holds the head back until the first body byte, which a stream of events may delay for long.
    if (!response.hasHeader('content-length') && !hasLength(headers)) response.flushHeaders();
    return new Http1Body(response);
  }

  upgrade(headers: HeaderList): Duplex | undefined {
    if (this.#upgraded === undefined) return undefined;
    const { socket, head } = this.#upgraded;
    this.#response.detachSocket(this.#response.req.socket);
    this.#gone = undefined;
    if (socket.destroyed) return undefined;
    const lines = ['HTTP/1.1 101 Switching Protocols'];
    let hasUpgrade = false;
    for (let index = 0; index + 1 < headers.length; index += 2) {
      const name = headers[index] ?? '';
      const lower = name.toLowerCase();
      if (lower === 'content-length' || lower === 'transfer-encoding') continue;
      if (lower === 'upgrade') hasUpgrade = true;
      lines.push(`${name}: ${headers[index + 1] ?? ''}`);
    }
    if (!hasUpgrade) lines.push('Connection: Upgrade', 'Upgrade: websocket');
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    if (head.length > 0) socket.unshift(head);
    return socket;
  }
}

function hasLength(headers: HeaderList): boolean {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (name.length === 14 && name.toLowerCase() === 'content-length') return true;
  }
  return false;
}

class Http1Body implements ResponseBody {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  write(chunk: Buffer): boolean {
    return this.#response.destroyed || this.#response.write(chunk);
  }

  onDrain(handler: () => void): void {
    this.#response.on('drain', handler);
  }

  end(trailers: HeaderList): void {
    const response = this.#response;
    if (trailers.length > 0 && response.chunkedEncoding) {
      const pairs: [string, string][] = [];
      for (let index = 0; index + 1 < trailers.length; index += 2)
        pairs.push([trailers[index] ?? '', trailers[index + 1] ?? '']);
      response.addTrailers(pairs);
    }
    response.end();
  }

  breakOff(): void {
    this.#response.destroy();
  }
}
