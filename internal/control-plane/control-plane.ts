// The control plane's HTTP side: finds the call in the route table, checks who calls and how often, reads and validates
// the documents, runs the handler and writes the envelope. Source: spec cli-and-api §9.1.

import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type * as z from 'zod';
import { matchPath, splitPath } from '../api/path.ts';
import { type ApiHandlers, type ApiRoute, apiRoutes } from '../api/routes.ts';
import { describeError } from '../errors/error.ts';
import type { QuickTunnels } from '../features/quick-tunnels/quick-tunnels.ts';
import { countedAddress, createRateLimiter } from '../net/limits/rate-limiter.ts';
import { digestApiToken } from '../store/secret-box.ts';
import type { Logger } from '../telemetry/logger.ts';
import { answerOf, apiProblem, problemCodes } from './api-problem.ts';
import { createEchoHandler } from './echo-handler.ts';
import type { Caller, ControlPlaneParts } from './handler-context.ts';
import { createHostnameHandlers } from './hostname-handlers.ts';
import { createNetworkHandlers } from './network-handlers.ts';
import { perPageOf } from './paging.ts';
import { createPrivateRouteHandlers } from './private-route-handlers.ts';
import { answerQuickTunnel } from './quick-handler.ts';
import { readJsonBody } from './request-body.ts';
import { createTunnelHandlers } from './tunnel-handlers.ts';

export interface ControlPlaneOptions extends Omit<ControlPlaneParts, 'now'> {
  /** The quick-tunnel service at POST /tunnel; without it that path does not exist. */
  readonly quick?: QuickTunnels;
  readonly logger: Logger;
  readonly now?: () => number;
}

/** Where the API begins, as the API's clients expect it. */
export const apiBasePath = '/client/v4';

/** Calls an address may make at once and in the long run: far above any tool of ours, far below what a loop makes. */
const callLimits = { burst: 300, perSecond: 30 };
/** Wrong tokens an address may show: guessing 240 bits is hopeless anyway; this keeps the attempt cheap for us. */
const refusalLimits = { burst: 20, perSecond: 0.2 };

/**
 * Request listener for node:http or node:https: the API below /client/v4 and the quick-tunnel service at /tunnel. The
 * server around it owns listening, header and idle timeouts; bodies are bounded in size and time here.
 */
export function createControlPlane(
  options: ControlPlaneOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const now = options.now ?? Date.now;
  const parts: ControlPlaneParts = { ...options, now };
  const handlers: ApiHandlers<Caller> = {
    ...createTunnelHandlers(parts),
    ...createHostnameHandlers(parts),
    ...createPrivateRouteHandlers(parts),
    ...createNetworkHandlers(parts),
    ...createEchoHandler(parts),
  };
  const calls = createRateLimiter({ ...callLimits, now });
  const refusals = createRateLimiter({ ...refusalLimits, now });

  const authorize = async (request: IncomingMessage, address: string): Promise<Caller> => {
    const [, token] = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token !== undefined) {
      const digest = digestApiToken(token);
      const found = await options.store.accounts.tokenByDigest(digest);
      if (found !== undefined && timingSafeEqual(found.digest, digest))
        return { accountTag: found.accountTag, address };
    }
    if (!refusals.take(address)) throw apiProblem('rateLimited', 'Too many requests with a wrong API token');
    throw apiProblem('unauthorized', 'Authentication error');
  };

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const address = countedAddress(request.socket.remoteAddress);
    if (!calls.take(address)) throw apiProblem('rateLimited', 'Too many requests');
    const url = parseUrl(request.url ?? '/');
    if (url.pathname === '/tunnel' && options.quick !== undefined) {
      return answerQuickTunnel(request, options.quick, parts.describeEdge());
    }
    const caller = await authorize(request, address);
    const { call, params } = findCall(request.method ?? 'GET', url.pathname);
    const query = parseDocument(call.route.query, queryOf(call.route, url), 'query');
    const body = parseDocument(
      call.route.body,
      takesBody(call.route) ? await readJsonBody(request) : undefined,
      'body',
    );
    // The table's types are erased by the look-up; parsing above made these what the handler's type says.
    const handler = handlers[call.name] as unknown as AnyHandler;
    const result = await handler({ params, query, body }, caller);
    return call.route.paged ? pagedAnswer(result as AnyPage, query as AnyPageQuery) : { status: 200, result };
  };

  return (request, response) => {
    answer(request)
      .catch((error: unknown) => refuse(error, request, options.logger))
      .then(outcome => send(request, response, outcome))
      // Only a bug can end here; the server goes on with its other requests.
      .catch((error: unknown) => {
        options.logger.error({ error: describeError(error) }, 'Control-plane request failed');
        response.destroy();
      });
  };
}

/** What is sent: the status, and the envelope's parts. */
export interface Answer {
  readonly status: number;
  readonly result?: unknown;
  readonly resultInfo?: { count: number; page: number; per_page: number; total_count: number };
  readonly error?: { readonly code: number; readonly message: string };
}

type AnyHandler = (
  input: { params: Record<string, string>; query: unknown; body: unknown },
  caller: Caller,
) => Promise<unknown>;

interface AnyPage {
  readonly items: readonly unknown[];
  readonly total: number;
}

interface AnyPageQuery {
  readonly page: number;
  readonly per_page: number;
}

interface KnownCall {
  readonly name: keyof typeof apiRoutes;
  readonly route: ApiRoute;
  readonly template: readonly string[];
}

const knownCalls: readonly KnownCall[] = Object.entries(apiRoutes).map(([name, route]) => ({
  name: name as keyof typeof apiRoutes,
  route,
  template: `${apiBasePath}${route.path}`.split('/'),
}));

function findCall(method: string, pathname: string): { call: KnownCall; params: Record<string, string> } {
  const segments = splitPath(pathname.endsWith('/') ? pathname.slice(0, -1) : pathname);
  let pathIsKnown = false;
  for (const call of segments === undefined ? [] : knownCalls) {
    const params = matchPath(call.template, segments ?? []);
    if (params === undefined) continue;
    if (call.route.method === method) return { call, params };
    pathIsKnown = true;
  }
  const why = pathIsKnown ? `method ${method} is not allowed there` : 'perhaps your object identifier is invalid?';
  throw apiProblem('noRoute', `Could not route to ${pathname.slice(0, 200)}, ${why}`);
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

function takesBody(route: ApiRoute): boolean {
  return route.method === 'POST' || route.method === 'PUT' || route.method === 'PATCH';
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

function pagedAnswer(page: AnyPage, query: AnyPageQuery): Answer {
  return {
    status: 200,
    result: page.items,
    resultInfo: {
      count: page.items.length,
      page: query.page,
      per_page: perPageOf(query),
      total_count: page.total,
    },
  };
}

function refuse(error: unknown, request: IncomingMessage, logger: Logger): Answer {
  const known = answerOf(error);
  if (known !== undefined) {
    logger.debug({ method: request.method, status: known.status, code: known.code }, 'Control-plane call refused');
    return { status: known.status, error: { code: known.code, message: known.message } };
  }
  logger.error({ method: request.method, error: describeError(error) }, 'Control-plane call failed');
  return { status: 500, error: { code: problemCodes.internal, message: 'Internal error' } };
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const { error } = answer;
  const envelope = {
    success: error === undefined,
    errors: error === undefined ? [] : [error],
    messages: [],
    result: answer.result ?? null,
    ...(answer.resultInfo === undefined ? {} : { result_info: answer.resultInfo }),
  };
  const text = JSON.stringify(envelope);
  response.statusCode = answer.status;
  // Exactly this value: clients hide the error texts of any other (spec §9.1).
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
