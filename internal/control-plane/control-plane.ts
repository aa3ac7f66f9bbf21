// The control plane's HTTP side: finds the call among those served, checks how often an address calls and (authorization.ts)
// that the call is the caller's, reads and validates the documents, runs the handler and writes the envelope.
// Source: docs/protocol/commands-and-api.md §9.1.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type * as z from 'zod';
import { openApiDocument } from '../api/openapi.ts';
import { matchPath, splitPath } from '../api/path.ts';
import type { ApiRoute } from '../api/route.ts';
import { describeError, isPosternError, type PosternError } from '../errors/error.ts';
import type { ErrorCode } from '../errors/table.ts';
import { countedAddress, createRateLimiter } from '../net/limits/rate-limiter.ts';
import { nothingSchema } from '../schema/api/common.ts';
import type { Logger } from '../telemetry/logger.ts';
import { answerOf, apiProblem, problemCodes } from './api-problem.ts';
import { type Audit, createAudit } from './audit.ts';
import { createAuthorization } from './authorization.ts';
import type { Caller, ControlPlaneParts, Stranger } from './handler-context.ts';
import { createHostnameHandlers } from './hostname-handlers.ts';
import { perPageOf } from './paging.ts';
import { readJsonBody } from './request-body.ts';
import { type ServedCall, serveTable } from './served-call.ts';
import { createTunnelHandlers } from './tunnel-handlers.ts';

export interface ControlPlaneOptions extends Omit<ControlPlaneParts, 'now'> {
  /** Calls of features, beside those on tunnels and public host names. */
  readonly calls?: readonly ServedCall[];
  readonly logger: Logger;
  readonly now?: () => number;
}

/** Where the API begins, as the API's clients expect it. */
export const apiBasePath = '/client/v4';
/** Where the description of the API is, for whoever asks: it tells nothing of an edge but its version. */
export const descriptionPath = `${apiBasePath}/openapi.json`;

/** Calls an address may make at once and in the long run: far above any tool of ours, far below what a loop makes. */
export const callLimits = { burst: 300, perSecond: 30 };
/** All calls of an edge: those on tunnels and public host names, and those of features. */
export function servedCalls(parts: ControlPlaneParts, calls: readonly ServedCall[] = []): readonly ServedCall[] {
  return [...serveTable({ ...createTunnelHandlers(parts), ...createHostnameHandlers(parts) }), ...calls];
}

/**
 * Request listener for node:http or node:https: the API below /client/v4, and the calls of anyone below the root. The
 * server around it owns listening, header and idle timeouts; bodies are bounded in size and time here.
 */
export function createControlPlane(
  options: ControlPlaneOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const now = options.now ?? Date.now;
  const { store, logger } = options;
  const served = servedCalls({ ...options, now }, options.calls);
  const known = served.map(withTemplate);
  const audit = createAudit({ store, logger, now }, served);
  const calls = createRateLimiter({ ...callLimits, now });
  let described: string | undefined;
  /** Made when it is first asked for: most edges are never asked. */
  const description = (): string => {
    described ??= JSON.stringify(
      openApiDocument(
        known.map(({ route }) => route),
        apiBasePath,
      ),
    );
    return described;
  };
  const authorization = createAuthorization({ store, now });

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const address = countedAddress(request.socket.remoteAddress);
    if (!calls.take(address)) throw apiProblem('rateLimited', 'Too many requests');
    const url = parseUrl(request.url ?? '/');
    const method = request.method ?? 'GET';
    if (method === 'GET' && url.pathname === descriptionPath) return { status: 200, text: description() };
    const found = findCall(known, method, url.pathname);
    if (found.call !== undefined && found.call.route.owner === 'anyone') {
      if (method !== 'GET') requireJson(request);
      return run(found.call.served, found.params, url, request, { address });
    }
    const caller = await authorization.authenticate(request, address, found.call?.route);
    if (found.call === undefined) throw notRouted(url.pathname, found.why);
    await authorization.authorize(found.call.route, found.params, caller);
    return run(found.call.served, found.params, url, request, caller, audit);
  };

  return (request, response) => {
    answer(request)
      .catch((error: unknown) => refuse(error, request, logger))
      .then(outcome => send(request, response, outcome))
      // Only a bug can end here; the server goes on with its other requests.
      .catch((error: unknown) => {
        logger.error({ error: describeError(error) }, 'Control-plane request failed');
        response.destroy();
      });
  };
}

/** What is sent: the status, and the envelope's parts. */
export interface Answer {
  readonly status: number;
  readonly result?: unknown;
  readonly resultInfo?: {
    readonly count: number;
    readonly page: number;
    readonly per_page: number;
    readonly total_count: number;
    readonly total_pages: number;
  };
  readonly error?: { readonly code: number; readonly message: string };
  /** Sent as it is, without an envelope. */
  readonly text?: string;
}

interface AnyPage {
  readonly items: readonly unknown[];
  readonly total: number;
}

interface AnyPageQuery {
  readonly page: number;
  readonly per_page: number;
}

interface KnownCall {
  readonly served: ServedCall;
  readonly route: ApiRoute;
  readonly template: readonly string[];
}

function withTemplate(served: ServedCall): KnownCall {
  const { route } = served;
  const path = route.owner === 'anyone' ? route.path : `${apiBasePath}${route.path}`;
  return { served, route, template: path.split('/') };
}

type FoundCall =
  | { readonly call: KnownCall; readonly params: Record<string, string>; readonly why?: undefined }
  | { readonly call?: undefined; readonly why: string };

function findCall(known: readonly KnownCall[], method: string, pathname: string): FoundCall {
  const segments = splitPath(pathname.endsWith('/') ? pathname.slice(0, -1) : pathname);
  let why = 'perhaps your object identifier is invalid?';
  for (const call of segments === undefined ? [] : known) {
    const params = matchPath(call.template, segments ?? []);
    if (params === undefined) continue;
    if (call.route.method === method) return { call, params };
    why = `method ${method} is not allowed there`;
  }
  return { why };
}

function notRouted(pathname: string, why: string): PosternError {
  return apiProblem('noRoute', `Could not route to ${pathname.slice(0, 200)}, ${why}`);
}

/** A web page may send a plain form to loopback, but not this type without the browser asking us first. */
function requireJson(request: IncomingMessage): void {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    throw apiProblem('invalid', 'Content-Type must be application/json');
}

/** Parses the documents, runs the handler and has the change recorded. A call of anyone has no account: its handler's type does not know of one. */
async function run(
  { route, handle }: ServedCall,
  params: Record<string, string>,
  url: URL,
  request: IncomingMessage,
  caller: Stranger | Caller,
  audit?: Audit,
): Promise<Answer> {
  const query = parseDocument(route.query, queryOf(route, url), 'query');
  const body = parseDocument(route.body, await bodyOf(route, request), 'body');
  const recorded = await audit?.watch(route, params, caller as Caller);
  let replaced: unknown;
  const replaces = (document: unknown): void => {
    replaced = document;
  };
  const result = await handle({ params, query, body }, { ...(caller as Caller), replaces });
  await recorded?.(result, replaced);
  return route.paged ? pagedAnswer(result as AnyPage, query as AnyPageQuery) : { status: 200, result };
}

/**
 * A path that a URL parser would rewrite (dot segments, backslashes, a fragment) is refused: whoever stood in front of us
 * may have judged it in the form it came in.
 */
function parseUrl(text: string): URL {
  const url = text.startsWith('/') ? URL.parse(`http://edge${text}`) : null;
  const query = text.indexOf('?');
  if (url === null || url.hash !== '' || url.pathname !== (query === -1 ? text : text.slice(0, query)))
    throw apiProblem('noRoute', 'Could not route there');
  return url;
}

/** Query keys as an object; calls without a query ignore what is sent. Of a repeated key the last one counts. */
function queryOf(route: ApiRoute, url: URL): unknown {
  const takesQuery = !route.query.safeParse(undefined).success;
  return takesQuery ? Object.fromEntries(url.searchParams) : undefined;
}

/** Calls without a body read none; what is sent all the same is dropped. */
async function bodyOf(route: ApiRoute, request: IncomingMessage): Promise<unknown> {
  if (route.body !== nothingSchema) return readJsonBody(request);
  request.resume();
  return undefined;
}

function parseDocument(schema: z.ZodType, value: unknown, where: 'query' | 'body'): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 5).map(issue => {
    const path = issue.path.join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  throw apiProblem('invalid', `Invalid request ${where}: ${issues.join('; ')}`);
}

function pagedAnswer({ items, total }: AnyPage, query: AnyPageQuery): Answer {
  const perPage = perPageOf(query);
  const pages = Math.ceil(total / perPage);
  return {
    status: 200,
    result: items,
    resultInfo: {
      count: items.length,
      page: query.page,
      per_page: perPage,
      total_count: total,
      total_pages: pages,
    },
  };
}

/** What callers are told when the edge's store is at fault; particulars are in its log. */
const storeTexts: Partial<Record<ErrorCode, { readonly status: number; readonly message: string }>> = {
  'store.away': {
    status: 503,
    message:
      'The database of the edge does not answer: nothing was changed, try again later. What is connected goes on',
  },
  'store.busy': {
    status: 503,
    message: 'The store of the edge is locked by another program: nothing was changed, try again later',
  },
  'store.full': {
    status: 507,
    message:
      "The disk of the edge is full: nothing was changed. Its operator must make room on the disk of the edge's state directory; then try again",
  },
  'store.failed': {
    status: 500,
    message:
      "The store of the edge failed. Its operator finds the reason in the edge's log: look at the disk and permissions of its state directory",
  },
};

const internalText = { status: 500, message: 'Internal error' };

function refuse(error: unknown, request: IncomingMessage, logger: Logger): Answer {
  const known = answerOf(error);
  if (known !== undefined) {
    logger.debug({ method: request.method, status: known.status, code: known.code }, 'Control-plane call refused');
    return { status: known.status, error: { code: known.code, message: known.message } };
  }
  logger.error({ method: request.method, error: describeError(error) }, 'Control-plane call failed');
  const { status, message } = (isPosternError(error) ? storeTexts[error.code] : undefined) ?? internalText;
  return { status, error: { code: problemCodes.internal, message } };
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const { error } = answer;
  const envelope = {
    success: error === undefined,
    errors: error === undefined ? [] : [error],
    messages: [],
    result: answer.result ?? null,
    // Left out of the text where it is undefined.
    result_info: answer.resultInfo,
  };
  const text = answer.text ?? JSON.stringify(envelope);
  response.statusCode = answer.status;
  // Exactly this value: clients hide the error texts of any other (docs/protocol/commands-and-api.md §9.1).
  response.setHeader('Content-Type', 'application/json');
  response.setHeader('Content-Length', Buffer.byteLength(text));
  response.setHeader('Cache-Control', 'no-store');
  if (answer.status === 429) response.setHeader('Retry-After', '60');
  // What is left of a body nobody reads would have to be received before the next request: end the connection instead.
  if (!request.complete) response.setHeader('Connection', 'close');
  response.end(text, () => {
    if (!request.complete) request.destroy();
  });
}
