// One dial one way, joined after a moment by one another way (another protocol, another port); the one that is there first is
// used and the other given up, so that what is blocked costs a moment and not a time-out. Ours; docs/protocol/edge-protocol.md §3.5
// waits minutes.

import { PosternError } from '../../errors/error.ts';
import type { Clock } from '../../net/time/clock.ts';
import type { ConnectorConnection } from '../../transport/transport.ts';

export interface RaceOptions<Way> {
  readonly first: Way;
  /** Dialled as well when the first way has not succeeded after `afterMs`, or has failed. */
  readonly rival?: { readonly way: Way; readonly afterMs: number } | undefined;
  readonly dial: (way: Way, signal: AbortSignal) => Promise<ConnectorConnection>;
  /** Told of the dial that fails first, while the other one goes on. */
  readonly onFailed: (way: Way, error: unknown) => void;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/**
 * Rejects with the rival's error when there is one: over TCP a peer that is not there, or not the
 * right one, says so. A dial that connects after the other one is aborted.
 */
export async function raceDial<Way>(options: RaceOptions<Way>): Promise<ConnectorConnection> {
  const { clock, dial, first: firstWay, rival, signal } = options;
  if (rival === undefined) return dial(firstWay, signal);
  const giveUp = { first: new AbortController(), rival: new AbortController() };
  const first = dial(firstWay, AbortSignal.any([signal, giveUp.first.signal]));
  const late = Promise.withResolvers<'late'>();
  const cancel = clock.after(rival.afterMs, () => late.resolve('late'));
  const begun = await Promise.race([first.then(success, failure), late.promise]).finally(cancel);
  if (begun !== 'late' && 'connection' in begun) return begun.connection;
  if (begun !== 'late') {
    if (signal.aborted) throw begun.error;
    options.onFailed(firstWay, begun.error);
    return dial(rival.way, signal);
  }
  const second = dial(rival.way, AbortSignal.any([signal, giveUp.rival.signal]));
  const winner = Promise.withResolvers<ConnectorConnection>();
  let won = false;
  let failures = 0;
  const enter = (way: Way, dialed: Promise<ConnectorConnection>, other: AbortController): void => {
    dialed.then(
      connection => {
        if (won) connection.abort(new PosternError('connection.closed', 'The other way was faster'));
        won = true;
        other.abort();
        winner.resolve(connection);
      },
      error => {
        failures += 1;
        if (failures === 2) second.catch(winner.reject);
        else if (!won && !signal.aborted) options.onFailed(way, error);
      },
    );
  };
  enter(firstWay, first, giveUp.rival);
  enter(rival.way, second, giveUp.first);
  return winner.promise;
}

function success<T>(connection: T): { readonly connection: T } {
  return { connection };
}

function failure(error: unknown): { readonly error: unknown } {
  return { error };
}
