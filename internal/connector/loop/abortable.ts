// Waiting with an end: until a signal aborts, or until a deadline on the connector's clock.

import { PosternError } from '../../errors/error.ts';
import type { Clock } from '../../net/time/clock.ts';

/** Rejects with 'connection.closed' as soon as `signal` aborts; the work itself goes on unobserved. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(stoppedError());
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, work]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Rejects with 'dial.timeout' and `message` when `work` has not settled after `timeoutMs`. */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number, clock: Clock, message: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(timeoutMs, () => reject(new PosternError('dial.timeout', message)));
  try {
    return await Promise.race([work, promise]);
  } finally {
    cancel();
  }
}

/** Why a connection ended that we closed ourselves. */
export function stoppedError(): PosternError {
  return new PosternError('connection.closed', 'The connector closed this connection');
}
