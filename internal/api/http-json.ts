// One HTTP exchange of JSON documents with bounds on time and size, over node:http(s) so that a private CA can be trusted
// for it alone. Used by the API client and the quick-tunnel client.

import { type IncomingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { getCACertificates } from 'node:tls';
import { PosternError } from '../errors/error.ts';

export interface JsonRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text; undefined sends no body. */
  readonly body?: string | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** A CA trusted beside the system's roots. */
  readonly caPem?: string | undefined;
}

export interface JsonResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Largest answer taken: a page of a thousand tunnels with connections is under 2 MiB. */
const maxResponseBytes = 16 * 1024 * 1024;

/** Throws `api.failed` with a text that begins `REST request failed: ` when no whole answer came. */
export async function exchangeJson(request: JsonRequest): Promise<JsonResponse> {
  const timeout = AbortSignal.timeout(request.timeoutMs);
  const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
  try {
    return await send(request, signal);
  } catch (cause) {
    if (cause instanceof PosternError) throw cause;
    const why = timeout.aborted ? `no answer within ${request.timeoutMs / 1000} s` : reasonOf(cause);
    throw new PosternError('api.failed', `REST request failed: ${request.method} ${request.url}: ${why}`, { cause });
  }
}

function send(request: JsonRequest, signal: AbortSignal): Promise<JsonResponse> {
  return new Promise((resolve, reject) => {
    const url = new URL(request.url);
    const start = url.protocol === 'https:' ? requestHttps : requestHttp;
    const headers: Record<string, string | number> = { ...request.headers, Accept: 'application/json;version=1' };
    if (request.body !== undefined) headers['Content-Length'] = Buffer.byteLength(request.body);
    // No agent: commands make a few calls and end; a kept connection would only hold the process.
    const options = { method: request.method, headers, agent: false, signal } as const;
    const trust = request.caPem === undefined ? {} : { ca: [...getCACertificates('default'), request.caPem] };
    const outgoing = start(url, { ...options, ...trust });
    outgoing.on('error', reject);
    outgoing.on('response', response => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.byteLength;
        if (length > maxResponseBytes) {
          outgoing.destroy(new Error(`the answer is larger than ${maxResponseBytes} bytes`));
          return;
        }
        chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    outgoing.end(request.body);
  });
}

function reasonOf(cause: unknown): string {
  // Happy-eyeballs failures come as an AggregateError without a message of its own.
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join('; ');
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
