// HTTP/2 to one origin address: by ALPN over TLS (http2Origin), falling back to HTTP/1.1 when the origin does not speak
// it, or with prior knowledge over plain TCP (h2c). Source: docs/protocol/ingress-and-origin.md §4 (http2Origin), RFC
// 9113 §3. On node:http2, not undici: it carries trailers and starts the response before the request has ended.

import type { ClientHttp2Session, ClientSessionOptions } from 'node:http2';
import type { Socket } from 'node:net';
import { PosternError } from '../../errors/error.ts';
import { nodeHttp2 } from '../../net/http/node-http.ts';
import type { Dial, DialDone } from '../dial/dial.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { originFailure } from '../exchange/failure.ts';
import type { Http1Pool } from './http1.ts';
import type { RequestLine } from './http1-request.ts';
import { Http2Request, type Http2RequestOwner } from './http2-request.ts';

export interface Http2Settings {
  readonly dest: string;
  readonly scheme: 'http' | 'https';
  readonly keepAliveTimeoutMs: number;
  /** Dials; over TLS offering both `h2` and `http/1.1`. */
  readonly open: (done: DialDone) => Dial;
  /** Takes the requests when the origin chose HTTP/1.1. */
  readonly http1: Http1Pool;
}

/** The first thing an HTTP/2 server sends; a second is a long time for it, so ten are enough. */
const settingsTimeoutMs = 10_000;

/** More sessions are opened while the origin allows too few streams on one; beyond this many, requests queue in them. */
export const maxSessions = 16;

const sessionOptions: ClientSessionOptions = {
  // A reader that stands still holds at most this much; origins are near, so it does not limit speed.
  settings: { initialWindowSize: 256 * 1024, enablePush: false, maxHeaderListSize: 1 << 20 },
  maxHeaderListPairs: 4096,
  maxSendHeaderBlockLength: 1024 * 1024,
  // Node's 10 MB are for a server that distrusts its peer; our bound is the stream window.
  maxSessionMemory: 256,
};

interface OpenSession {
  readonly session: ClientHttp2Session;
  active: number;
  /** Streams the origin allows at once. */
  limit: number;
  /** Going away or closed: takes no more streams. */
  leaving: boolean;
}

export class Http2Pool implements Http2RequestOwner {
  readonly dest: string;
  readonly scheme: 'http' | 'https';
  readonly #settings: Http2Settings;
  readonly #sessions = new Set<OpenSession>();
  /** Wait for the dial under way. */
  #waiting: Http2Request[] = [];
  #dialing: Dial | undefined;
  #onlyHttp1 = false;
  #closed = false;
  #retired = false;

  constructor(settings: Http2Settings) {
    this.dest = settings.dest;
    this.scheme = settings.scheme;
    this.#settings = settings;
  }

  request(exchange: Exchange, line: RequestLine): void {
    // An upgrade exists in HTTP/1.1 only.
    if (this.#onlyHttp1 || exchange.head.kind === 'websocket') {
      this.#settings.http1.request(exchange, line);
      return;
    }
    this.again(new Http2Request(this, exchange, line));
  }

  again(request: Http2Request): void {
    const session = this.#pick();
    if (session !== undefined) this.#start(session, request);
    else {
      this.#waiting.push(request);
      this.#dial();
    }
  }

  /** Ends sessions as soon as they carry nothing; requests that run or wait are still served. */
  retire(): void {
    this.#retired = true;
    for (const open of this.#sessions) {
      open.leaving = true;
      if (open.active === 0) open.session.close();
    }
    this.#settings.http1.retire();
  }

  close(): void {
    this.#closed = true;
    this.#dialing?.cancel();
    for (const { session } of this.#sessions) session.destroy();
    this.#settings.http1.close();
  }

  /** The first session with room; the emptiest when no more may be opened; undefined when one is to be dialled. */
  #pick(): OpenSession | undefined {
    let emptiest: OpenSession | undefined;
    for (const candidate of this.#sessions) {
      if (!isUsable(candidate)) continue;
      if (candidate.active < candidate.limit) return candidate;
      if (emptiest === undefined || candidate.active < emptiest.active) emptiest = candidate;
    }
    return this.#sessions.size >= maxSessions ? emptiest : undefined;
  }

  #start(open: OpenSession, request: Http2Request): void {
    open.active += 1;
    request.startOn(open.session, () => {
      open.active -= 1;
      if (open.leaving && open.active === 0) open.session.close();
    });
  }

  #dial(): void {
    if (this.#dialing !== undefined) return;
    if (this.#closed) {
      this.#failWaiting(new PosternError('connection.closed', 'The origin is being closed.'));
      return;
    }
    this.#dialing = this.#settings.open((error, socket) => {
      this.#dialing = undefined;
      if (socket === undefined)
        this.#shareOrFail(error ?? new PosternError('internal', 'A dial ended without result.'));
      else if (this.scheme === 'https' && (!('alpnProtocol' in socket) || socket.alpnProtocol !== 'h2'))
        this.#fallBack(socket);
      else this.#adopt(socket);
    });
  }

  #adopt(socket: Socket): void {
    const session = nodeHttp2().connect(`${this.scheme}://origin`, {
      ...sessionOptions,
      createConnection: () => socket,
    });
    session.setLocalWindowSize(8 * 1024 * 1024);
    const open: OpenSession = { session, active: 0, limit: 0, leaving: false };
    const late = setTimeout(() => session.destroy(new Error('no HTTP/2 settings came')), settingsTimeoutMs);
    let failure: Error = new Error('the origin closed the connection at once; does it speak HTTP/2?');
    this.#sessions.add(open);
    session
      .on('remoteSettings', settings => {
        open.limit = settings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY;
        clearTimeout(late);
        this.#startWaiting();
      })
      .on('error', error => {
        // Every stream of the session tells its own request.
        failure = error;
        open.leaving = true;
      })
      .on('goaway', () => {
        open.leaving = true;
      })
      .on('close', () => {
        clearTimeout(late);
        open.leaving = true;
        this.#sessions.delete(open);
        if (open.limit === 0) this.#shareOrFail(originFailure('request', this.dest, failure));
      })
      .setTimeout(this.#settings.keepAliveTimeoutMs, () => {
        if (open.active === 0) session.close();
      });
  }

  /** Starts what waits where there is room, and dials again for the rest. */
  #startWaiting(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next.done) continue;
      const session = this.#pick();
      if (session === undefined) {
        this.#waiting.unshift(next);
        this.#dial();
        return;
      }
      this.#start(session, next);
    }
    if (this.#retired) this.retire();
  }

  /** The origin speaks HTTP/1.1 only: this socket is its pool's first, and requests go there from now on. */
  #fallBack(socket: Socket): void {
    this.#onlyHttp1 = true;
    this.#settings.http1.adopt(socket);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { done, exchange, line } of waiting) if (!done) this.#settings.http1.request(exchange, line);
  }

  /** The origin allows no further session: waiting requests queue in the open ones. They fail only when none is open. */
  #shareOrFail(error: PosternError): void {
    const open = [...this.#sessions].filter(isUsable);
    if (open.length === 0) {
      this.#failWaiting(error);
      return;
    }
    const ready = open.filter(({ limit }) => limit > 0);
    // Those that wait for their settings start what waits when these come, or are asked again here when they end.
    if (ready.length === 0) return;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const session = emptiestOf(ready);
      if (session !== undefined && !next.done) this.#start(session, next);
    }
  }

  #failWaiting(error: PosternError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) request.fail(error);
  }
}

function isUsable({ leaving, session }: OpenSession): boolean {
  return !leaving && !session.closed && !session.destroyed;
}

function emptiestOf(sessions: readonly OpenSession[]): OpenSession | undefined {
  return sessions.reduce<OpenSession | undefined>(
    (best, next) => (best === undefined || next.active < best.active ? next : best),
    undefined,
  );
}
