// A visitor over HTTP/2. Source: RFC 9113 §8.3 (pseudo headers), §8.2.2 (what must not come), §8.5.

import type { ServerHttp2Stream } from 'node:http2';
import { PosternError } from '../errors/error.ts';
import { plainAddress } from '../net/address/ip.ts';
import type { HeaderList } from '../net/http/header-list.ts';
import { headerListBytes } from '../net/http/header-list.ts';
import { endOnlyWhenClean, resetStream } from '../net/http2/clean-end.ts';
import { pairHeaders } from '../net/http2/pair-headers.ts';
import { ObservedResponse, type ResponseEnd, type ResponseObserver } from './observed-response.ts';
import { nextRequestId } from './request-id.ts';
import { encodePath, isAuthority, isTarget, plainAuthority } from './request-target.ts';
import type { ResponseBody, VisitorRequest, VisitorResponse } from './visitor.ts';

/** The request, or the status that refuses it although nghttp2 let it through. */
export function readHttp2(
  stream: ServerHttp2Stream,
  raw: readonly string[],
  endOfStream: boolean,
): VisitorRequest | 400 {
  let method = '';
  let path = '';
  let host = '';
  let hostHeader: string | undefined;
  let length = -1;
  const headers: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const value = raw[index + 1] ?? '';
    if (name === ':method') method = value;
    else if (name === ':path') path = encodePath(value);
    else if (name === ':authority') host = value;
    else if (name === 'host') hostHeader = value;
    else if (!name.startsWith(':')) {
      if (name === 'content-length') length = Number(value);
      headers.push(name, value);
    }
  }
  if (host === '') host = hostHeader ?? '';
  const differs = hostHeader !== undefined && hostHeader.toLowerCase() !== host.toLowerCase();
  if (method === 'CONNECT' || differs || !isTarget(method, path) || !isAuthority(host)) return 400;
  const socket = stream.session?.socket;
  return {
    id: nextRequestId(),
    method,
    scheme: stream.session?.encrypted === true ? 'https' : 'http',
    host: plainAuthority(host),
    path,
    headers,
    remoteAddress: plainAddress(socket?.remoteAddress),
    remotePort: socket?.remotePort ?? 0,
    bodyLength: endOfStream ? 0 : length,
    body: stream,
    upgrade: false,
  };
}

export class Http2Response extends ObservedResponse implements VisitorResponse {
  readonly #stream: ServerHttp2Stream;
  readonly #expectsContinue: boolean;
  #continued = false;
  #body: Http2Body | undefined;

  constructor(stream: ServerHttp2Stream, expectsContinue: boolean) {
    super();
    this.#stream = stream;
    this.#expectsContinue = expectsContinue;
    // A body that was reset must not pass for a whole one.
    endOnlyWhenClean(stream);
  }

  override observe(observer: ResponseObserver): void {
    if (!this.isObserved) this.#stream.once('close', () => this.tellEnd(this.#howEnded()));
    super.observe(observer);
  }

  onGone(handler: () => void): void {
    const stream = this.#stream;
    // Node ends the writable side of a stream that was reset, so only our own end counts.
    stream.once('close', () => {
      if (this.#howEnded() !== 'complete') handler();
    });
  }

  continue(): void {
    if (!this.#expectsContinue || this.#continued || this.#stream.headersSent || this.#stream.destroyed) return;
    this.#continued = true;
    this.#stream.additionalHeaders({ ':status': 100 });
  }

  closeAfter(): void {
    // Streams do not share their framing.
  }

  start(status: number, given: HeaderList, options: { hasBody: boolean }): ResponseBody | undefined {
    const stream = this.#stream;
    if (stream.headersSent || stream.destroyed) return undefined;
    const headers = this.headToSend(status, given);
    const raw = [':status', String(status)];
    for (let index = 0; index + 1 < headers.length; index += 2)
      raw.push((headers[index] ?? '').toLowerCase(), headers[index + 1] ?? '');
    // A client that gets more than it announced may end the whole connection.
    const bytes = headerListBytes(raw);
    if (bytes > (stream.session?.remoteSettings.maxHeaderListSize ?? bytes))
      throw new PosternError('protocol.too-large', `The head of the answer has ${bytes} bytes.`);
    if (!options.hasBody) {
      stream.respond(raw, { endStream: true });
      return undefined;
    }
    // Trailers follow only a body whose length was not said; waiting for them costs an event a request.
    const waitForTrailers = !raw.includes('content-length');
    this.#body = new Http2Body(stream, this, waitForTrailers);
    stream.respond(raw, { waitForTrailers });
    return this.#body;
  }

  upgrade(): undefined {
    return undefined;
  }

  #howEnded(): ResponseEnd {
    if (this.#body?.isBroken === true) return 'failed';
    const hasEnded = this.#body === undefined ? this.#stream.headersSent : this.#body.ended;
    return hasEnded && this.#stream.rstCode === 0 ? 'complete' : 'gone';
  }
}

class Http2Body implements ResponseBody {
  ended = false;
  isBroken = false;
  readonly #stream: ServerHttp2Stream;
  readonly #response: Http2Response;
  #trailers: HeaderList = [];

  constructor(stream: ServerHttp2Stream, response: Http2Response, waitForTrailers: boolean) {
    this.#stream = stream;
    this.#response = response;
    if (waitForTrailers) stream.once('wantTrailers', () => stream.sendTrailers(pairHeaders(this.#trailers)));
  }

  write(chunk: Buffer): boolean {
    if (this.#stream.destroyed) return true;
    this.#response.bytesDown += chunk.length;
    return this.#stream.write(chunk);
  }

  onDrain(handler: () => void): void {
    this.#stream.on('drain', handler);
  }

  end(trailers: HeaderList): void {
    this.ended = true;
    this.#trailers = trailers;
    this.#stream.end();
  }

  breakOff(): void {
    this.isBroken = true;
    resetStream(this.#stream);
  }
}
