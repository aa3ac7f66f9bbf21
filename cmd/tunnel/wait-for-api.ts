// Calls of the control plane that a program which is meant to stay makes at its start: when a machine boots, its edge may come
// up after its connectors.

import { setTimeout as after } from 'node:timers/promises';
import { wasUnanswered } from '../../internal/api/http-json.ts';
import { BackOff } from '../../internal/discovery/back-off.ts';
import { describeError } from '../../internal/errors/error.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';

/** Repeats `call`, with growing waits, for as long as nobody answers. Throws what an answer makes it throw. */
export async function waitForApi<T>(call: () => Promise<T>, retries: number, logger: Logger): Promise<T> {
  const backOff = new BackOff({ baseMs: 1_000, maxRetries: retries, random: Math.random });
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!wasUnanswered(error)) throw error;
      const { waitMs, upToMs } = backOff.next();
      logger.warn({ error: describeError(error) }, `The API does not answer, retrying in up to ${upToMs / 1_000}s`);
      await after(waitMs);
    }
  }
}
