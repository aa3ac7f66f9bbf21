// How a tunnel that is named without credentials gets its id: the API is asked, once or until it answers.

import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { PosternError } from '../../internal/errors/error.ts';
import type { TunnelId } from '../../internal/schema/api/id.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import type { CommandContext } from '../context.ts';

export interface Patience {
  /** As `waitForApi` counts them. */
  readonly retries: number;
  readonly logger: Logger;
}

/** Throws 'api.not-found' for a name that the API does not know. Without patience one call must do. */
export async function askByName(
  name: string,
  settings: TunnelSettings,
  context: CommandContext,
  patience?: Patience,
): Promise<TunnelId> {
  // Few need the API; loading its client takes time and memory.
  const [{ openApiOf }, { findTunnel }, { waitForApi }] = await Promise.all([
    import('./api.ts'),
    import('./find-tunnel.ts'),
    import('./wait-for-api.ts'),
  ]);
  const api = await openApiOf(settings, context);
  if (patience === undefined) return findTunnel(api, name);
  return waitForApi(() => findTunnel(api, name), patience.retries, patience.logger);
}

/** One call; what stands in its way is said together with the ways that need no API. */
export async function askByNameOnce(
  name: string,
  settings: TunnelSettings,
  context: CommandContext,
): Promise<TunnelId> {
  try {
    return await askByName(name, settings, context);
  } catch (error) {
    if (!(error instanceof PosternError) || error.code === 'api.not-found') throw error;
    const text = `${name} is a name, whose id only the API knows, and it could not be asked: ${error.message}`;
    throw new PosternError(error.code, text, { cause: error });
  }
}
