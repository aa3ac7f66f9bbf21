// Ends one registered connection in order: tells the edge, serves what is running and what still arrives, and closes when
// idle or when the grace period is over; or lives on as long as the edge lets it. Source:
// docs/protocol/edge-protocol.md §11.

import { describeError, PosternError } from '../../errors/error.ts';
import type { Clock } from '../../net/time/clock.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ConnectorConnection } from '../../transport/transport.ts';
import { stoppedError } from './abortable.ts';
import type { RegistrationSession } from './registration.ts';

export interface DrainOptions {
  readonly connection: ConnectorConnection;
  readonly session: RegistrationSession;
  /** 0 = close now. */
  readonly graceMs: number;
  /** Another connection has taken this one's place: the edge may be ending it already. */
  readonly replaced: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often an emptying connection is looked at; it also bounds how long an idle program lingers. */
const pollMs = 50;
/**
 * The connection must have been idle for this long after the edge acknowledged: requests that the edge sent before it
 * learned of the drain are then here.
 */
const settleMs = 200;

/** Bounds an edge that drains and never ends; ours do within seconds or minutes. */
const outliveMs = 15 * 60_000;

/** Never rejects; the connection is closed when it settles. */
export async function drainConnection(options: DrainOptions): Promise<void> {
  const { connection, session, graceMs, clock, log } = options;
  const deadlineMs = clock.monotonicMs() + graceMs;
  if (graceMs > 0) {
    await unregister(options);
    await untilIdle(connection, deadlineMs, clock);
    await connection.drain(Math.max(deadlineMs - clock.monotonicMs(), 0));
  }
  session.close();
  connection.abort(new PosternError('connection.closed', 'The connector stops'));
  await connection.closed;
  log.debug('Connection closed');
}

/**
 * Lets the requests of a connection that the edge drains finish: the edge decides how long that may take, or our stop,
 * which `stopped` tells with the grace period in milliseconds. Never rejects; the connection is closed when it settles.
 */
export async function outliveConnection(
  { connection, session }: Pick<DrainOptions, 'connection' | 'session'>,
  stopped: Promise<number>,
  clock: Clock,
): Promise<void> {
  let cancel = (): void => undefined;
  const late = stopped.then(
    graceMs =>
      new Promise<void>(resolve => {
        cancel = clock.after(graceMs, resolve);
      }),
  );
  await Promise.race([connection.drain(outliveMs), late]);
  cancel();
  session.close();
  connection.abort(stoppedError());
}

async function unregister({ connection, session, graceMs, log, replaced }: DrainOptions): Promise<void> {
  try {
    await Promise.race([session.unregisterConnection(graceMs), connection.closed]);
    log.info('Unregistered tunnel connection');
  } catch (error) {
    log[replaced ? 'debug' : 'warn']({ error: describeError(error) }, 'Could not unregister the tunnel connection');
  }
  session.close();
}

async function untilIdle(connection: ConnectorConnection, deadlineMs: number, clock: Clock): Promise<void> {
  let closed = false;
  const end = connection.closed.then(() => {
    closed = true;
  });
  let idleSinceMs: number | undefined;
  while (!closed) {
    const nowMs = clock.monotonicMs();
    if (connection.stats().openStreams > 0) idleSinceMs = undefined;
    else idleSinceMs ??= nowMs;
    if (nowMs >= deadlineMs || (idleSinceMs !== undefined && nowMs - idleSinceMs >= settleMs)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(Math.min(pollMs, deadlineMs - nowMs), resolve);
    await Promise.race([promise, end]);
    cancel();
  }
}
