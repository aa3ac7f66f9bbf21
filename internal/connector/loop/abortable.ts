// Waiting until a signal aborts, and the error that tells of it.

import { PosternError } from '../../errors/error.ts';

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

/** Why a connection ended that we closed ourselves. */
export function stoppedError(): PosternError {
  return new PosternError('connection.closed', 'The connector closed this connection');
}
