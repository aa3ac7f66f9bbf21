// A real IncomingStream over a pair of connected Duplex streams, for tests of what stands above the transport: the test
// holds the edge's end. Back-pressure, half-close and reset behave as the transport seam demands.

import { Duplex } from 'node:stream';
import { PosternError } from '../../internal/errors/error.ts';
import type { HeaderList } from '../../internal/net/http/header-list.ts';
import type { IncomingStream, RequestHead, ResponseHead, StreamRefusal } from '../../internal/transport/transport.ts';

/** One end of a connected pair; what is written at one end is read at the other. */
class PairEnd extends Duplex {
  peer: PairEnd | undefined;
  #pending: ((error?: Error | null) => void) | undefined;

  constructor(highWaterMark: number) {
    super({ allowHalfOpen: true, highWaterMark });
  }

  override _read(): void {
    const peer = this.peer;
    if (peer === undefined) return;
    const pending = peer.#pending;
    peer.#pending = undefined;
    pending?.();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    const peer = this.peer;
    if (peer === undefined || peer.destroyed || peer.push(chunk)) callback();
    else this.#pending = callback;
  }

  override _final(callback: () => void): void {
    this.peer?.push(null);
    callback();
  }

  /** A destroy that leaves work behind resets the other end; one after both directions ended does not. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.(error ?? new Error('destroyed'));
    const peer = this.peer;
    if (peer !== undefined && !peer.destroyed) {
      if (error !== null || !this.writableFinished) {
        process.nextTick(() => peer.destroy(new PosternError('stream.reset', 'reset by the other end')));
      } else peer._read();
    }
    callback(error?.message === 'local' ? null : error);
  }
}

export function createPair(highWaterMark = 16 * 1024): [PairEnd, PairEnd] {
  const a = new PairEnd(highWaterMark);
  const b = new PairEnd(highWaterMark);
  a.peer = b;
  b.peer = a;
  return [a, b];
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly spans?: string | undefined;
}

/** An IncomingStream and the edge's end of it. */
export class TestIncoming implements IncomingStream {
  readonly head: RequestHead;
  /** The connector's end, as the proxy sees it. */
  readonly body: Duplex;
  /** The edge's end: request body is written here, response body read. */
  readonly edge: Duplex;
  /** Settles with the response head; rejects with PosternError 'origin.unreachable' when refused, or 'stream.reset'. */
  readonly response: Promise<TestAnswer>;
  readonly trailerList: string[] = [];
  refusal: StreamRefusal | undefined;
  #answered = false;
  readonly #resolve: (answer: TestAnswer) => void;
  readonly #reject: (error: PosternError) => void;

  constructor(head: Partial<RequestHead>, highWaterMark?: number) {
    this.head = {
      kind: 'http',
      method: 'GET',
      scheme: 'https',
      host: 'app.example.com',
      path: '/',
      headers: [],
      bodyLength: 0,
      ...head,
    };
    const [body, edge] = createPair(highWaterMark);
    this.body = body;
    this.edge = edge;
    const { promise, resolve, reject } = Promise.withResolvers<TestAnswer>();
    this.response = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    promise.catch(() => undefined);
    edge.on('error', () => undefined);
    edge.once('close', () => {
      if (!this.#answered) reject(new PosternError('stream.reset', 'closed before a response'));
    });
    if (this.head.bodyLength === 0) {
      edge.end();
      // By the contract of IncomingStream an empty request body need not be read for the stream to close.
      if (this.head.kind === 'http') body.resume();
    }
  }

  respond(head: ResponseHead, options?: { endStream?: boolean }): void {
    if (this.#answered) throw new Error('respond called twice');
    this.#answered = true;
    this.#resolve({ ...head, headers: [...head.headers] });
    this.#stopUnread();
    if (options?.endStream === true) this.body.end();
  }

  trailers(list: HeaderList): boolean {
    this.trailerList.push(...list);
    return true;
  }

  refuse(refusal: StreamRefusal): void {
    this.refusal = refusal;
    if (!this.#answered) {
      this.#answered = true;
      this.#reject(new PosternError('origin.unreachable', refusal.message));
      this.#stopUnread();
      this.body.end();
      this.body.resume();
    } else this.reset();
  }

  reset(): void {
    this.body.destroy(new PosternError('stream.reset', 'reset'));
  }

  /** As transports do: once the answer is out, what is left of the request nobody wants. */
  #stopUnread(): void {
    const { kind, bodyLength } = this.head;
    if (kind === 'http' && bodyLength !== 0) this.body.once('finish', () => setImmediate(endUnread, this.body));
  }

  /** What a visitor that disappears looks like. */
  vanish(): void {
    this.edge.destroy(new Error('local'));
  }

  /** Uploads without end, until the stream is gone: a piece a turn, as a network would. */
  flood(): void {
    const chunk = Buffer.alloc(64 * 1024);
    const next = (): void => {
      if (this.edge.destroyed || this.body.destroyed) return;
      if (this.edge.write(chunk)) setImmediate(next);
      else this.edge.once('drain', () => setImmediate(next));
    };
    next();
  }

  /** The whole response body. */
  async bytes(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.edge.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }
}

function endUnread(body: Duplex): void {
  if (!body.readableEnded) body.destroy();
}

/** The first value of a header, by name in any case. */
export function headerOf(list: HeaderList, name: string): string | undefined {
  for (let index = 0; index < list.length; index += 2) {
    if (list[index]?.toLowerCase() === name.toLowerCase()) return list[index + 1];
  }
  return undefined;
}
