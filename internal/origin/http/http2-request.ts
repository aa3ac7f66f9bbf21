// One request to an HTTP/2 origin as one stream, trailers and early responses included, so that gRPC works.
// Source: RFC 9113 §8; docs/protocol/ingress-and-origin.md §8.4, docs/protocol/edge-protocol.md §10.11. The stream is
// node:http2's; this maps it.

import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { pump, takesMore } from '../../net/stream/pump.ts';
import { countGarbage } from '../../net/stream/young-garbage.ts';
import type { Cancelable, Exchange } from '../exchange/exchange.ts';
import { originFailure } from '../exchange/failure.ts';
import { malformedResponse } from '../message/response-head.ts';
import { maxInterimHeads } from '../message/response-parser.ts';
import type { RequestLine } from './http1-request.ts';

export interface Http2RequestOwner {
  readonly dest: string;
  readonly scheme: 'http' | 'https';
  /** The origin refused the stream unprocessed: sends the request again, on a new session where there is no other. */
  again(request: Http2Request): void;
}

/** RFC 9113 §7. */
const errorCodes = { noError: 0, refusedStream: 7, cancel: 8 } as const;
/** RFC 9113 §6.2. */
const endStreamFlag = 1;

export class Http2Request implements Cancelable {
  readonly #owner: Http2RequestOwner;
  readonly exchange: Exchange;
  readonly line: RequestLine;
  readonly #headers: readonly string[];
  #stream: ClientHttp2Stream | undefined;
  #state: 'waiting' | 'responding' | 'done' = 'waiting';
  #attempts = 0;

  constructor(owner: Http2RequestOwner, exchange: Exchange, line: RequestLine) {
    this.#owner = owner;
    this.exchange = exchange;
    this.line = line;
    this.#headers = requestHeaders(owner.scheme, exchange, line);
    exchange.work = this;
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /** Opens the stream on `session`; `ended` is called once when it is over. */
  startOn(session: ClientHttp2Session, ended: () => void): void {
    const { head, body } = this.exchange;
    this.#attempts += 1;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(this.#headers, { endStream: head.bodyLength === 0 });
    } catch (error) {
      // Node refuses what HTTP/2 forbids, for example a field that may occur once only, occurring twice.
      ended();
      this.fail(error);
      return;
    }
    this.#stream = stream;
    let interim = 0;
    stream
      .on('headers', () => {
        interim += 1;
        if (interim <= maxInterimHeads) return;
        this.fail(malformedResponse(`more than ${maxInterimHeads} interim responses`));
        stream.close(errorCodes.cancel);
      })
      .on('response', (_headers, flags, raw) => this.#onResponse(raw as unknown as string[], flags))
      .on('trailers', (headers, _flags, raw) => this.#onTrailers(raw as unknown as string[] | undefined, headers))
      .on('data', (chunk: Buffer) => this.#onData(chunk))
      .on('end', () => this.#onEnd())
      .on('error', error => this.#onError(stream, error))
      .on('close', () => {
        ended();
        this.#onError(stream, new Error(`the stream was closed with code ${stream.rstCode}`));
      });
    if (head.bodyLength === 0) return;
    stream.once('close', pump(body.on('data', this.#countUp), stream));
  }

  cancel(): boolean {
    if (this.#state === 'done') return false;
    this.#state = 'done';
    this.#stream?.close(errorCodes.cancel);
    return true;
  }

  fail(error: unknown): void {
    if (this.#state === 'done') return;
    const hop = this.#state === 'waiting' ? 'request' : 'response';
    this.#state = 'done';
    this.#release();
    this.exchange.fail(originFailure(hop, this.#owner.dest, error));
  }

  #onResponse(raw: readonly string[], flags: number): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'responding';
    let status = 0;
    const headers: string[] = [];
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const name = raw[index] as string;
      if (name === ':status') status = Number(raw[index + 1]);
      else headers.push(name, raw[index + 1] as string);
    }
    if ((flags & endStreamFlag) === 0) {
      this.exchange.respond(status, headers);
      return;
    }
    this.#state = 'done';
    this.exchange.respond(status, headers, true);
    this.#release();
  }

  readonly #countUp = (chunk: Buffer): void => {
    this.exchange.bytesUp += chunk.length;
  };

  #onData(chunk: Buffer): void {
    countGarbage(chunk.length);
    const stream = this.#stream;
    if (this.#state !== 'responding' || stream === undefined) return;
    this.exchange.bytesDown += chunk.length;
    const { body } = this.exchange;
    body.write(chunk);
    if (takesMore(body)) return;
    stream.pause();
    body.once('drain', () => stream.resume());
  }

  #onTrailers(raw: readonly string[] | undefined, trailers: object): void {
    if (this.#state === 'responding') this.exchange.trailers(raw ?? Object.entries(trailers).flat().map(String));
  }

  #onEnd(): void {
    // A reset stream may also say 'end'; whether it ended well shows in the code.
    if (this.#state !== 'responding' || (this.#stream?.rstCode ?? 0) !== errorCodes.noError) return;
    this.#state = 'done';
    this.exchange.body.end();
    this.#release();
  }

  /** Called for 'error' and again for 'close', but not for a stream that was given up for another one. */
  #onError(stream: ClientHttp2Stream, error: Error): void {
    if (this.#state === 'done' || stream !== this.#stream) return;
    const refused = stream.rstCode === errorCodes.refusedStream;
    if (refused && this.#state === 'waiting' && this.#attempts === 1 && this.exchange.head.bodyLength === 0) {
      this.#stream = undefined;
      this.#owner.again(this);
      return;
    }
    this.fail(error);
  }

  /** The answer is complete; a request body that is still under way is of no use any more. */
  #release(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.exchange.body.unpipe(stream);
    if (!stream.writableEnded) stream.close(errorCodes.cancel);
  }
}

/** Raw pairs in the order of RFC 9113 §8.3: pseudo fields first, names in lower case. */
function requestHeaders(scheme: string, exchange: Exchange, line: RequestLine): readonly string[] {
  const { method, bodyLength } = exchange.head;
  const list = [':method', method, ':scheme', scheme, ':authority', line.host, ':path', line.path];
  const { headers } = line;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = (headers[index] as string).toLowerCase();
    const value = headers[index + 1] as string;
    // TE may only say `trailers` here (RFC 9113 §8.2.2).
    if (name === 'http2-settings' || (name === 'te' && value.toLowerCase() !== 'trailers')) continue;
    list.push(name, value);
  }
  if (bodyLength > 0) list.push('content-length', String(bodyLength));
  return list;
}
