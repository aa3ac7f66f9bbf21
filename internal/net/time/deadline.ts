// Waiting for something no longer than a while.

import { type Clock, systemClock } from './clock.ts';

/**
 * Settles as `work` does, or rejects with `late()` when it has not after `timeoutMs`. The work itself goes on, unobserved:
 * what it opens later is the caller's to close.
 */
export async function withDeadline<T>(
  work: Promise<T>,
  timeoutMs: number,
  late: () => Error,
  clock: Clock = systemClock,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(timeoutMs, () => reject(late()));
  try {
    return await Promise.race([work, promise]);
  } finally {
    cancel();
  }
}
