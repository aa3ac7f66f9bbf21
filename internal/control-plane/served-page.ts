// Pages and form calls that stand beside the API on its listener, below the root: what a browser is shown, and what speaks
// another protocol than the API's envelopes (OAuth). Which names and sites they answer is judged before, as for the API
// (request-source.ts).

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { describeError, isPosternError } from '../errors/error.ts';
import { countedAddress, createRateLimiter } from '../net/limits/rate-limiter.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Stranger } from './handler-context.ts';
import { readText } from './request-body.ts';

export interface PageRequest extends Stranger {
  readonly method: 'GET' | 'POST';
  readonly query: URLSearchParams;
  /** Of a POST; empty for a GET. */
  readonly form: URLSearchParams;
  /** The header's text. */
  readonly cookie: string;
  /** Host and port that it was made to. */
  readonly host: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
}

export interface PageAnswer {
  readonly status: number;
  readonly type: 'text/html; charset=utf-8' | 'application/json' | 'text/plain; charset=utf-8';
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ServedPage {
  /** Whole path: `/login`. */
  readonly path: string;
  readonly methods: readonly PageRequest['method'][];
  answer(request: PageRequest): Promise<PageAnswer>;
}

/** Requests of pages that an address may make: a person, and a program that asks every few seconds. */
export const pageLimits = { burst: 60, perSecond: 2 };
/** Largest form: two codes and a token. */
export const maxFormBytes = 16 * 1024;

/** Serves the pages, and leaves every other path to `next`. */
export function servePages(
  pages: readonly ServedPage[],
  next: RequestListener,
  { logger, now = Date.now }: { readonly logger: Logger; readonly now?: (() => number) | undefined },
): RequestListener {
  const limiter = createRateLimiter({ ...pageLimits, now });
  return (request, response) => {
    const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s);
    const page = pages.find(one => one.path === path);
    if (page === undefined) {
      next(request, response);
      return;
    }
    serve(page, request, query, limiter)
      .catch((error: unknown) => {
        if (isPosternError(error, 'api.invalid')) return plain(400, error.message);
        logger.error({ path, error: describeError(error) }, 'A page of the API listener failed');
        return plain(500, 'Internal error');
      })
      .then(answer => send(request, response, answer))
      // Only a bug can end here; the server goes on with its other requests.
      .catch((error: unknown) => {
        logger.error({ path, error: describeError(error) }, 'A page could not be sent');
        response.destroy();
      });
  };
}

async function serve(
  page: ServedPage,
  request: IncomingMessage,
  query: string,
  limiter: ReturnType<typeof createRateLimiter>,
): Promise<PageAnswer> {
  const address = countedAddress(request.socket.remoteAddress);
  if (!limiter.take(address)) return plain(429, 'Too many requests');
  const method = page.methods.find(one => one === request.method);
  if (method === undefined)
    return { ...plain(405, 'That method is not allowed'), headers: { Allow: page.methods.join() } };
  if (method === 'POST' && !/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? ''))
    return plain(415, 'Content-Type must be application/x-www-form-urlencoded');
  const body = method === 'POST' ? await readText(request, maxFormBytes) : '';
  if (method === 'GET') request.resume();
  return page.answer({
    ...{ method, address, query: new URLSearchParams(query), form: new URLSearchParams(body) },
    cookie: request.headers.cookie ?? '',
    host: request.headers.host ?? '',
    secure: 'encrypted' in request.socket,
  });
}

function plain(status: number, text: string): PageAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}.\n` };
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, headers }: PageAnswer): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(status === 429 ? { 'Retry-After': '60' } : {}),
    ...(request.complete ? {} : { Connection: 'close' }),
    ...headers,
  });
  response.end(body);
}
