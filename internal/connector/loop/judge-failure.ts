// What a failed attempt of a connection means for the next one. Source: docs/protocol/edge-protocol.md §2.4, §4.3.

import type { BackOffWait } from '../../discovery/back-off.ts';
import { PosternError } from '../../errors/error.ts';

/** Wait after the edge called credentials invalid that it had accepted before: a deleted tunnel, or an edge in trouble. */
const refusedWaitMs = 60_000;
const refusedJitterMs = 60_000;
/** When refusals of a first registration end the program: a fresh tunnel may take a minute to be known on every edge. */
const refusalsBeforeFatal = 3;
const refusedBeforeFatalMs = 60_000;

/** Refusals of credentials since the connection last registered. */
export class Refusals {
  #count = 0;
  #sinceMs = 0;

  add(nowMs: number): void {
    if (this.#count === 0) this.#sinceMs = nowMs;
    this.#count += 1;
  }

  clear(): void {
    this.#count = 0;
  }

  areFinal(nowMs: number): boolean {
    return this.#count >= refusalsBeforeFatal && nowMs - this.#sinceMs >= refusedBeforeFatalMs;
  }
}

/**
 * Network errors never end the program. Bad configuration and a protocol that this build does not have do; so do credentials
 * that no registration of this run has passed with. Once a connection had registered, a refusal may be an edge in trouble:
 * it is retried with long waits.
 */
export function isFatal(error: PosternError, everRegistered: boolean, refusedForGood: boolean): boolean {
  if (error.kind.scope === 'config' || error.kind.scope === 'usage' || error.code === 'unavailable') return true;
  if (error.code !== 'credentials.refused') return error.kind.scope === 'credentials';
  return !everRegistered && refusedForGood;
}

/** The wait after a refusal of credentials that were good before, with its bound. */
export function refusedWait(random: () => number): BackOffWait {
  return { waitMs: refusedWaitMs + Math.floor(random() * refusedJitterMs), upToMs: refusedWaitMs + refusedJitterMs };
}

/** Whether the edge could not be reached at all, so that news of another connection matter. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof PosternError && error.kind.scope === 'network';
}

/** Whether the next dial should go to another address: the edge could not be reached, or said that it has us already. */
export function rotates(error: unknown, registered: boolean): boolean {
  if (registered || !(error instanceof PosternError)) return false;
  return error.kind.retry === 'elsewhere' || error.kind.scope === 'network';
}
