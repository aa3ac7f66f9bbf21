// One dial over the first protocol, joined after a moment by one over its rival; the one that is there first is used and
// the other given up, so that blocked UDP costs a moment and not a time-out. Ours; docs/protocol/edge-protocol.md §3.5
// waits minutes.

import { PosternError } from '../../errors/error.ts';
import type { Clock } from '../../net/time/clock.ts';
import type { ConnectorConnection, Protocol } from '../../transport/transport.ts';
import type { ProtocolChoice } from '../protocol/protocol-policy.ts';

export interface RaceOptions {
  readonly choice: ProtocolChoice;
  readonly dial: (protocol: Protocol, signal: AbortSignal) => Promise<ConnectorConnection>;
  /** Told of the dial that fails first, while the other one goes on. */
  readonly onFailed: (protocol: Protocol, error: unknown) => void;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** Rejects with the error of the dial that failed last. A dial that connects after the other one is aborted. */
export async function raceDial(options: RaceOptions): Promise<ConnectorConnection> {
  const { choice, clock, dial, signal } = options;
  const { rival } = choice;
  if (rival === undefined) return dial(choice.first, signal);
  const giveUp = { first: new AbortController(), rival: new AbortController() };
  const first = dial(choice.first, AbortSignal.any([signal, giveUp.first.signal]));
  const late = Promise.withResolvers<'late'>();
  const cancel = clock.after(rival.afterMs, () => late.resolve('late'));
  const begun = await Promise.race([first.then(success, failure), late.promise]).finally(cancel);
  if (begun !== 'late' && 'connection' in begun) return begun.connection;
  if (begun !== 'late') {
    if (signal.aborted) throw begun.error;
    options.onFailed(choice.first, begun.error);
    return dial(rival.protocol, signal);
  }
  const second = dial(rival.protocol, AbortSignal.any([signal, giveUp.rival.signal]));
  const winner = Promise.withResolvers<ConnectorConnection>();
  let won = false;
  let failures = 0;
  const enter = (protocol: Protocol, dialed: Promise<ConnectorConnection>, other: AbortController): void => {
    dialed.then(
      connection => {
        if (won) connection.abort(new PosternError('connection.closed', 'The other protocol was faster'));
        won = true;
        other.abort();
        winner.resolve(connection);
      },
      error => {
        failures += 1;
        if (failures === 2) winner.reject(error);
        else if (!won && !signal.aborted) options.onFailed(protocol, error);
      },
    );
  };
  enter(choice.first, first, giveUp.rival);
  enter(rival.protocol, second, giveUp.first);
  return winner.promise;
}

function success<T>(connection: T): { readonly connection: T } {
  return { connection };
}

function failure(error: unknown): { readonly error: unknown } {
  return { error };
}
