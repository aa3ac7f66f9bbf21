// Waits for what ends a registered connection: the connector's stop, the edge's drain, or a loss.
// Source: docs/protocol/edge-protocol.md §9.5, §10.12, §11.

import { PosternError } from '../../errors/error.ts';
import type { Clock } from '../../net/time/clock.ts';
import type { EdgeLink } from './edge-link.ts';

export type LinkEnd = 'stop' | 'edge drains' | PosternError;

/** After the control stream ended, how long the rest of the connection may take to show whether it is lost as well. */
const closingMs = 100;

/** Never rejects. `stop`: settles when the connector stops. */
export async function linkEnd({ connection, session }: EdgeLink, stop: Promise<void>, clock: Clock): Promise<LinkEnd> {
  const lost = connection.closed.then(
    end => end.error ?? new PosternError('connection.lost', 'Connection with edge closed'),
  );
  const stopped = stop.then(() => 'stop' as const);
  const drains = [session.closed, ...(connection.goingAway === undefined ? [] : [connection.goingAway])];
  const why = await Promise.race([lost, stopped, ...drains.map(end => end.then(() => 'edge drains' as const))]);
  if (why !== 'edge drains') return why;
  // A connection that breaks ends its control stream too, sometimes a moment earlier.
  const { promise, resolve } = Promise.withResolvers<'edge drains'>();
  const cancel = clock.after(closingMs, () => resolve('edge drains'));
  const really = await Promise.race([lost, promise]);
  cancel();
  return really;
}
