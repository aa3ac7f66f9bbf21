// A service that is published before it runs, or under a wrong port: said at start, where its owner looks.

import { connect } from 'node:net';
import { foreignCode } from '../../internal/errors/error.ts';
import type { Service } from '../../internal/schema/service.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';

/** A machine that answers at all refuses at once. */
const timeoutMs = 2_000;

/** Connects once, sends nothing, and warns when the address refuses. Never rejects. */
export async function warnUnheard(service: Service | undefined, logger: Logger): Promise<void> {
  const target = targetOf(service);
  if (target === undefined) return;
  const code = await new Promise<string | undefined>(resolve => {
    const socket = connect(target);
    const settle = (found: string | undefined): void => {
      socket.destroy();
      resolve(found);
    };
    socket.once('connect', () => settle(undefined)).once('error', error => settle(codeOf(error)));
    socket.setTimeout(timeoutMs, () => settle(undefined));
  });
  if (code === 'ECONNREFUSED' || code === 'ENOENT')
    logger.warn(`Nobody listens at ${service?.text} (${code}); visitors get 502 until somebody does`);
}

function targetOf(service: Service | undefined): { host: string; port: number } | { path: string } | undefined {
  if (service?.kind === 'unix') return { path: service.path };
  if (service?.kind !== 'http' && service?.kind !== 'tcp') return undefined;
  return service.port === undefined ? undefined : { host: service.hostname, port: service.port };
}

/** Of a name with several addresses: what all of them said. */
function codeOf(error: unknown): string | undefined {
  return foreignCode(error instanceof AggregateError ? error.errors[0] : error);
}
