// Asks the local HTTP endpoint of a connector or an edge how it is: for health checks of containers and services.
// Source: docs/protocol/commands-and-api.md §5.6, §13.

import { describeError, PosternError } from '../errors/error.ts';
import { formatHostPort } from '../net/address/host-port.ts';
import { requestWeb } from '../net/http/web-request.ts';
import type { LocalAddress } from './local-server.ts';

export interface HealthAnswer {
  /** What was asked. */
  readonly url: string;
  readonly status: number;
  readonly text: string;
}

/** Real answers are under 200 bytes. */
const maxAnswerBytes = 64 * 1024;

/**
 * Rejects with 'health.failed' when nobody answers within `timeoutMs`.
 * @param path `/ready` or `/healthcheck`
 */
export async function askHealth(address: LocalAddress, path: string, timeoutMs: number): Promise<HealthAnswer> {
  const url = `${localUrl(address)}${path}`;
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const { status, text } = await requestWeb({ url, signal, maxBytes: maxAnswerBytes });
    return { url, status, text };
  } catch (error) {
    const why = signal.aborted ? `no answer within ${timeoutMs / 1_000} s` : describeError(error);
    throw new PosternError('health.failed', `${url} cannot be asked: ${why}`);
  }
}

/** The URL of a local endpoint, without a path. */
export function localUrl({ host, port }: LocalAddress): string {
  return `http://${formatHostPort(reachable(host), port)}`;
}

/** A listener on every address is asked on loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  // Where IPv6 is off, `localhost` is IPv4 alone.
  return host === '::' ? 'localhost' : host;
}
