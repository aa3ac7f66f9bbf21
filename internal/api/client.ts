// The API client, derived from the route table: one method a call. Works on Cloudflare's API and on our edge's.
// Source: docs/protocol/commands-and-api.md §9.1 (headers, envelope, error texts, paging).

import type * as z from 'zod';
import { PosternError } from '../errors/error.ts';
import type { ErrorCode } from '../errors/table.ts';
import { nodeHttp } from '../net/http/node-http.ts';
import type { ForwardProxy } from '../net/proxy/forward-proxy.ts';
import { envelopeSchema } from '../schema/api/common.ts';
import { exchangeJson, type JsonResponse } from './http-json.ts';
import { formatPath } from './path.ts';
import type { ApiRoute } from './route.ts';
import { type ApiCall, type ApiRoutes, apiRoutes, type CallInput, type CallResult } from './routes.ts';

export interface ApiClientOptions {
  /** Base URL with /client/v4; a trailing slash is dropped. */
  readonly apiUrl: string;
  /** Bearer token. */
  readonly apiToken: string;
  readonly userAgent: string;
  /** A CA trusted beside the system's roots, for an edge with a private one. */
  readonly caPem?: string | undefined;
  /** The way to the API leads through it. */
  readonly proxy?: ForwardProxy | undefined;
  /** Items asked for a page of a listing; 0 leaves it to the server. */
  readonly perPage?: number | undefined;
  /** Deadline of one exchange. Default 15,000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * A method for every route. They throw `api.invalid`, `api.unauthorized`, `api.not-found`, `api.conflict`,
 * `api.rate-limited` or `api.failed`, with the texts of cloudflared.
 */
export type ApiClient = {
  readonly [Call in ApiCall]: (
    input: CallInput<ApiRoutes[Call]>,
    options?: { readonly signal?: AbortSignal },
  ) => Promise<CallResult<ApiRoutes[Call]>>;
};

/** Any call's input, as the code below the types sees it. */
interface AnyInput {
  readonly params: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

/** Most pages fetched of one listing: an end for a server that never stops. */
const maxPages = 10_000;

/** Nothing is opened: every call is one HTTPS request, or one a page for listings. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const methods = Object.entries(apiRoutes).map(([name, route]: [string, ApiRoute]) => [
    name,
    (input: AnyInput, { signal }: { readonly signal?: AbortSignal } = {}) =>
      route.paged ? callPaged(options, route, input, signal) : callOnce(options, route, input, signal),
  ]);
  // The table's types are erased in Object.entries; ApiClient gives them back.
  return Object.fromEntries(methods) as ApiClient;
}

async function callOnce(
  options: ApiClientOptions,
  route: ApiRoute,
  input: AnyInput,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const response = await exchange(options, route, input, input.query ?? {}, signal);
  checkStatus(response, route.op);
  if (route.method === 'DELETE' && !isJson(response)) return undefined;
  return readResult(response, route, route.result).result;
}

async function callPaged(
  options: ApiClientOptions,
  route: ApiRoute,
  input: AnyInput,
  signal: AbortSignal | undefined,
): Promise<unknown[]> {
  const items: unknown[] = [];
  for (let page = 1; page <= maxPages; page += 1) {
    const query = { ...input.query, per_page: options.perPage || undefined, page };
    let got: { result: unknown; count: number; perPage: number; total: number };
    try {
      const response = await exchange(options, route, input, query, signal);
      checkStatus(response, route.op);
      got = readResult(response, route, route.result.array());
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      throw new PosternError(error.code, `Error Parsing page ${page}: ${error.message}`, { cause: error });
    }
    items.push(...(got.result as unknown[]));
    if (got.count < got.perPage || items.length >= got.total) return items;
  }
  throw new PosternError('api.failed', `Failed to ${route.op}: the listing has more than ${maxPages} pages`);
}

function exchange(
  options: ApiClientOptions,
  route: ApiRoute,
  input: AnyInput,
  query: Readonly<Record<string, unknown>>,
  signal: AbortSignal | undefined,
): Promise<JsonResponse> {
  const url = new URL(options.apiUrl.replace(/\/+$/, '') + formatPath(route.path, input.params));
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(key, String(value));
  }
  const body = input.body === undefined ? undefined : JSON.stringify(input.body);
  return exchangeJson({
    method: route.method,
    url: url.href,
    headers: {
      Authorization: `Bearer ${options.apiToken}`,
      'User-Agent': options.userAgent,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    body,
    timeoutMs: options.timeoutMs ?? 15_000,
    signal,
    caPem: options.caPem,
    proxy: options.proxy,
  });
}

/** Success is status 200 and nothing else. */
function checkStatus(response: JsonResponse, op: string): void {
  const { status } = response;
  if (status === 200) return;
  const code = codeOf(status);
  const errors = isJson(response) ? parseErrors(response.text) : [];
  if (errors.length > 0) {
    throw new PosternError(code, `Failed to ${op}: ${describeErrors(errors)}${remedyFor(status)}`, {
      details: { status, apiCode: errors[0]?.code },
    });
  }
  const text =
    status === 400
      ? 'incorrect request parameters'
      : status === 401 || status === 403
        ? 'unauthorized'
        : status === 404
          ? 'not found'
          : `API call to ${op} failed with status ${status}: ${nodeHttp.STATUS_CODES[status] ?? ''}`.trimEnd();
  throw new PosternError(code, `${text}${remedyFor(status)}`, { details: { status } });
}

/** Behind cloudflared's words, which scripts look for: what a person can do. */
function remedyFor(status: number): string {
  if (status === 401)
    return '. The edge does not know this credential any more: log in again with `postern tunnel login`';
  return '';
}

function readResult(
  response: JsonResponse,
  route: ApiRoute,
  schema: z.ZodType,
): { result: unknown; count: number; perPage: number; total: number } {
  const envelope = envelopeSchema.safeParse(parseJson(response.text));
  if (!envelope.success) throw unexpectedType(route.op, envelope.error);
  const { errors, success, result, result_info: info } = envelope.data;
  if (errors && errors.length > 0) {
    throw new PosternError('api.failed', `Failed to ${route.op}: ${describeErrors(errors)}`);
  }
  if (!success) throw new PosternError('api.failed', `Failed to ${route.op}: API call failed`);
  const parsed = schema.safeParse(result);
  if (!parsed.success) throw unexpectedType(route.op, parsed.error);
  return {
    result: parsed.data,
    count: info?.count ?? 0,
    perPage: info?.per_page ?? 0,
    total: info?.total_count ?? 0,
  };
}

function unexpectedType(op: string, cause: unknown): PosternError {
  return new PosternError('api.failed', `Failed to ${op}: the API response was an unexpected type`, { cause });
}

type ApiErrors = readonly { readonly code: number; readonly message: string }[];

function parseErrors(text: string): ApiErrors {
  const envelope = envelopeSchema.safeParse(parseJson(text));
  return envelope.success ? (envelope.data.errors ?? []) : [];
}

function describeErrors(errors: ApiErrors): string {
  const [only] = errors;
  const one = (error: ApiErrors[number]): string => `code: ${error.code}, reason: ${error.message}`;
  return errors.length === 1 && only !== undefined
    ? one(only)
    : `API errors: ${errors.map(error => `${one(error)}; `).join('')}`;
}

function isJson(response: JsonResponse): boolean {
  return response.headers['content-type']?.startsWith('application/json') ?? false;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No envelope: the caller's schema refuses undefined and says so in its own words.
    return undefined;
  }
}

function codeOf(status: number): ErrorCode {
  const codes: Readonly<Record<number, ErrorCode>> = {
    400: 'api.invalid',
    401: 'api.unauthorized',
    403: 'api.unauthorized',
    404: 'api.not-found',
    409: 'api.conflict',
    429: 'api.rate-limited',
  };
  return codes[status] ?? 'api.failed';
}
