// Asks a quick-tunnel service for a tunnel: Cloudflare's or an edge of ours. Source: docs/protocol/commands-and-api.md
// §10.

import { PosternError } from '../errors/error.ts';
import type { ForwardProxy } from '../net/proxy/forward-proxy.ts';
import { type ApiQuickTunnel, quickTunnelAnswerSchema } from '../schema/api/quick-tunnel.ts';
import { exchangeJson } from './http-json.ts';

/** Deadline of the request, as stock connectors have it. */
const timeoutMs = 15_000;

/** `serviceUrl` without /tunnel. Throws `api.failed`, or `api.rate-limited` with the service's own words. */
export async function requestQuickTunnel(options: {
  readonly serviceUrl: string;
  readonly userAgent: string;
  readonly caPem?: string | undefined;
  readonly proxy?: ForwardProxy | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<ApiQuickTunnel> {
  const url = `${options.serviceUrl.replace(/\/+$/, '')}/tunnel`;
  const response = await exchangeJson({
    method: 'POST',
    url,
    headers: { 'User-Agent': options.userAgent, 'Content-Type': 'application/json' },
    body: '',
    timeoutMs,
    signal: options.signal,
    caPem: options.caPem,
    proxy: options.proxy,
  });
  let json: unknown;
  try {
    json = JSON.parse(response.text);
  } catch (cause) {
    throw new PosternError('api.failed', `failed to unmarshal quick Tunnel: ${url} answered ${response.status}`, {
      cause,
      details: { status: response.status, body: response.text.slice(0, 200) },
    });
  }
  const parsed = quickTunnelAnswerSchema.safeParse(json);
  if (parsed.success) return parsed.data.result;
  const reason = reasonIn(json);
  if (response.status === 429) {
    throw new PosternError(
      'api.rate-limited',
      `${url} gives no more quick tunnels for now: ${reason ?? 'rate limited'}`,
    );
  }
  throw new PosternError(
    'api.failed',
    `failed to parse quick Tunnel ID: ${reason ?? `${url} answered without a tunnel`}`,
    {
      cause: parsed.error,
      details: { status: response.status },
    },
  );
}

function reasonIn(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null || !('errors' in json) || !Array.isArray(json.errors)) return undefined;
  const [first] = json.errors as unknown[];
  const isError = typeof first === 'object' && first !== null && 'message' in first;
  return isError && typeof first.message === 'string' ? first.message.slice(0, 200) : undefined;
}
