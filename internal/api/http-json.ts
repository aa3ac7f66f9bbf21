// One HTTP exchange of JSON documents with bounds on time and size, so that a private CA can be trusted
// for it alone. Used by the API client and the quick-tunnel client.

import { foreignCode, isPosternError, PosternError } from '../errors/error.ts';
import { requestWeb, type WebAnswer, type WebRequest } from '../net/http/web-request.ts';
import type { ForwardProxy } from '../net/proxy/forward-proxy.ts';
import { systemRoots } from '../net/trust/system-roots.ts';

export interface JsonRequest {
  readonly method: NonNullable<WebRequest['method']>;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text; undefined sends no body. */
  readonly body?: string | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The way there leads through it. */
  readonly proxy?: ForwardProxy | undefined;
  /** A CA trusted beside the system's roots. */
  readonly caPem?: string | undefined;
}

export type JsonResponse = WebAnswer;

/** Largest answer taken: a page of a thousand tunnels with connections is under 2 MiB. */
const maxResponseBytes = 16 * 1024 * 1024;

const unanswered = { unanswered: true };

/** Whether a call failed because nobody answered: an edge that is starting, or a network that is not there yet. */
export function wasUnanswered(error: unknown): boolean {
  if (!isPosternError(error, 'api.failed')) return false;
  return error.details?.unanswered === true || wasUnanswered(error.cause);
}

/** Throws `api.failed` with a text that begins `REST request failed: ` when no whole answer came. */
export async function exchangeJson(request: JsonRequest): Promise<JsonResponse> {
  const timeout = AbortSignal.timeout(request.timeoutMs);
  const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
  try {
    return await send(request, signal);
  } catch (cause) {
    if (cause instanceof PosternError) throw cause;
    const why = timeout.aborted ? `no answer within ${request.timeoutMs / 1000} s` : reasonOf(cause);
    throw new PosternError(
      'api.failed',
      `REST request failed: ${request.method} ${request.url}: ${why}. ${remedyFor(cause, request)}`,
      {
        cause,
        details: unanswered,
      },
    );
  }
}

function send(request: JsonRequest, signal: AbortSignal): Promise<JsonResponse> {
  return requestWeb({
    url: request.url,
    method: request.method,
    headers: { ...request.headers, Accept: 'application/json;version=1' },
    body: request.body,
    ca: request.caPem === undefined ? undefined : [...systemRoots(), request.caPem],
    proxy: request.proxy,
    signal,
    maxBytes: maxResponseBytes,
  });
}

/** Codes of TLS that say: another certificate authority than those that are trusted. */
const untrusted = /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|CERT_UNTRUSTED/;

/** What to look at, in plain words. */
function remedyFor(cause: unknown, { url }: JsonRequest): string {
  const code = foreignCode(cause) ?? '';
  if (untrusted.test(code))
    return 'Nothing vouches for its certificate: name the CA of the edge with --cacert, or copy its ca.pem beside cert.pem';
  if (/CERT_HAS_EXPIRED|ALTNAME|CERT_NOT_YET/.test(code)) return 'Its certificate is for another name or time';
  return `Is the edge running at ${new URL(url).origin}?`;
}

function reasonOf(cause: unknown): string {
  // Happy-eyeballs failures come as an AggregateError without a message of its own.
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join('; ');
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
