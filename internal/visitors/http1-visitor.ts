// A visitor over HTTP/1.1: node:http's parser reads the request strictly, and what it lets through but a proxy must not
// is refused here. Source: RFC 9112 §3.2 (request target and Host), §6.1 (framing); RFC 9110 §7.8 (upgrade).

import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { plainAddress } from '../net/address/ip.ts';
import type { HeaderList } from '../transport/transport.ts';
import { maxHeaders } from './limits.ts';
import { isAuthority, isTarget } from './request-target.ts';
import type { ResponseBody, VisitorRequest, VisitorResponse } from './visitor.ts';

/** How long a visitor may go on sending a body after its answer is complete, before the connection is cut. */
const uploadLingerMs = 10_000;

/** The request, or the status that refuses it although the parser let it through. */
export function readHttp1(message: IncomingMessage, upgrade: boolean): VisitorRequest | 400 | 431 {
  let hosts = 0;
  let codings = 0;
  let length = 0;
  const { rawHeaders } = message;
  if (rawHeaders.length > 2 * maxHeaders) return 431;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    if (name === 'host') hosts += 1;
    else if (name === 'content-length') length = Number(value);
    else if (name === 'transfer-encoding') {
      codings += 1;
      // The parser also takes lists that end in chunked; what is coded inside would reach the origin undeclared.
      if (value.toLowerCase() !== 'chunked') return 400;
    }
  }
  if (codings > 1 || (codings === 1 && message.httpVersion !== '1.1')) return 400;
  // Bytes after the head of an upgrade are the new protocol's: an announced body could be taken for a request further on.
  if (upgrade && (codings > 0 || length > 0)) return 400;
  const target = parseTarget(message.url ?? '/');
  const host = target.host ?? message.headers.host ?? '';
  if (hosts > 1 || !isTarget(message.method ?? 'GET', target.path) || !isAuthority(host)) return 400;
  const { socket } = message;
  return {
    method: message.method ?? 'GET',
    scheme: socket instanceof TLSSocket ? 'https' : 'http',
    host,
    path: target.path,
    headers: rawHeaders,
    remoteAddress: plainAddress(socket.remoteAddress),
    remotePort: socket.remotePort ?? 0,
    bodyLength: codings > 0 ? -1 : length,
    body: message,
    upgrade,
  };
}

/** Splits the absolute form, whose authority counts and not the Host header's; what is no origin form fails later. */
function parseTarget(url: string): { path: string; host?: string } {
  const absolute = url.startsWith('/') ? null : /^https?:\/\/([^/?#]*)(.*)$/i.exec(url);
  if (absolute === null) return { path: url };
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

  closeAfter(): void {
    this.#response.shouldKeepAlive = false;
  }

  start(status: number, headers: HeaderList, options: { hasBody: boolean }): ResponseBody | undefined {
    const response = this.#response;
    if (response.headersSent || response.destroyed) return undefined;
    // A visitor who was never asked for its body must not have what it sends later taken for a request.
    if (this.#expectsContinue && !this.#continued) response.shouldKeepAlive = false;
    // An early answer: the rest of the body is read and dropped, so that the visitor gets to read the answer.
    else if (!response.req.complete) response.once('finish', endUpload);
    response.writeHead(status, inNodesOrder(headers));
    if (!options.hasBody) {
      response.end();
      return undefined;
    }
    // Node holds the head back until the first body byte, which a stream of events may delay for long. Its `flushHeaders`
    // would write the head in UTF-8: every byte from 0x80 up twice encoded.
    if (!hasLength(headers)) response.write('', 'latin1');
    return new Http1Body(response);
  }

  upgrade(headers: HeaderList): Duplex | undefined {
    if (this.#upgraded === undefined) return undefined;
    const { socket, head } = this.#upgraded;
    this.#response.detachSocket(this.#response.req.socket);
    this.#gone = undefined;
    if (socket.destroyed) return undefined;
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'];
    for (let index = 0; index + 1 < headers.length; index += 2)
      lines.push(`${headers[index] ?? ''}: ${headers[index + 1] ?? ''}`);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    if (head.length > 0) socket.unshift(head);
    return socket;
  }
}

function endUpload(this: ServerResponse): void {
  const { req } = this;
  if (req.complete) return;
  req.resume();
  const timer = setTimeout(() => req.socket.destroy(), uploadLingerMs);
  req.once('close', () => clearTimeout(timer));
}

/**
 * A copy with Content-Disposition in front: after a Content-Length Node takes its value for UTF-8 and changes its bytes
 * (`processHeader` in lib/_http_outgoing.js). RFC 9110 §5.5 wants them passed on.
 */
function inNodesOrder(headers: HeaderList): string[] {
  const first: string[] = [];
  const rest: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    const list = name.length === 19 && name.toLowerCase() === 'content-disposition' ? first : rest;
    list.push(name, headers[index + 1] ?? '');
  }
  return first.length === 0 ? rest : [...first, ...rest];
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
