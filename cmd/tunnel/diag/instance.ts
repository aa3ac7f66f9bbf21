// The connector that is diagnosed, at its metrics address: found on the usual ports, and asked. Source:
// docs/protocol/commands-and-api.md §18.

import { describeError, PosternError } from '../../../internal/errors/error.ts';
import { localUrl } from '../../../internal/management/ask-health.ts';
import { defaultPorts } from '../../../internal/management/health-server.ts';
import type { LocalAddress } from '../../../internal/management/local-server.ts';
import { requestWeb } from '../../../internal/net/http/web-request.ts';

export interface FoundInstance {
  readonly address: LocalAddress;
  /** One, or each of the process. */
  readonly tunnels: readonly { readonly tunnelId: string; readonly connectorId: string }[];
}

/** Real answers are under a megabyte; profiles of large programs may have some. */
const maxAnswerBytes = 16 * 1024 * 1024;
/** Of one call; docs/protocol/commands-and-api.md §18. */
const callMs = 15_000;
/** Ports are asked all at once, and answer in milliseconds. */
const probeMs = 5_000;

/** Rejects 'health.failed' for anything but an answer of status 200. */
export async function ask(
  address: LocalAddress,
  path: string,
  signal: AbortSignal,
  timeoutMs = callMs,
): Promise<Buffer> {
  const url = `${localUrl(address)}${path}`;
  const ended = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  let answer: { readonly status: number; readonly text: string; readonly bytes: Buffer };
  try {
    answer = await requestWeb({ url, signal: ended, maxBytes: maxAnswerBytes });
  } catch (error) {
    const why = ended.aborted ? 'no answer in time' : describeError(error);
    throw new PosternError('health.failed', `${url} cannot be asked: ${why}`);
  }
  if (answer.status === 200) return answer.bytes;
  throw new PosternError('health.failed', `${url} answers ${answer.status}: ${answer.text.slice(0, 200).trim()}`);
}

/** The connectors that answer on the usual ports of this machine. */
export async function findInstances(signal: AbortSignal): Promise<readonly FoundInstance[]> {
  const addresses = defaultPorts.filter(port => port !== 0).map(port => ({ host: 'localhost', port }));
  const found = await Promise.all(
    addresses.map(async address => {
      try {
        const state: unknown = JSON.parse((await ask(address, '/diag/tunnel', signal, probeMs)).toString('utf8'));
        const tunnels = tunnelsOf(state).map(one => {
          return { tunnelId: textOf(one, 'tunnelID'), connectorId: textOf(one, 'connectorID') };
        });
        return [{ address, tunnels }];
      } catch {
        // Nobody, or somebody else: that is what is to be found out.
        return [];
      }
    }),
  );
  return found.flat();
}

/** Rejects 'health.failed' when nobody answers there at all: nothing that is worth a bundle can be had. */
export async function requireAnswer(address: LocalAddress, signal: AbortSignal): Promise<void> {
  const url = localUrl(address);
  try {
    await requestWeb({
      url: `${url}/ready`,
      signal: AbortSignal.any([signal, AbortSignal.timeout(callMs)]),
      maxBytes: maxAnswerBytes,
    });
  } catch (error) {
    const text = `No connector answers at ${url} (${describeError(error)}); its log says where its metrics server is`;
    throw new PosternError('health.failed', text, { cause: error });
  }
}

/** The states in an answer of /diag/tunnel, which may be anything. */
export function tunnelsOf(state: unknown): readonly unknown[] {
  const tunnels: unknown = typeof state === 'object' && state !== null ? Reflect.get(state, 'tunnels') : undefined;
  return Array.isArray(tunnels) ? tunnels : [state];
}

/** A member of an answer, which may be anything; '' for what is no text. */
export function textOf(document: unknown, name: string): string {
  const value = typeof document === 'object' && document !== null ? Reflect.get(document, name) : undefined;
  return typeof value === 'string' ? value : '';
}
