// What a failed attempt of a connection means for the next one. Source: spec edge-protocol §2.4, §4.3.

import { PosternError } from '../errors/error.ts';

/** Whether the edge could not be reached at all, so that news of another connection matter. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof PosternError && error.kind.scope === 'network';
}

/** Whether the next dial should go to another address: the edge could not be reached, or said that it has us already. */
export function rotates(error: unknown, registered: boolean): boolean {
  if (registered || !(error instanceof PosternError)) return false;
  return error.kind.retry === 'elsewhere' || error.kind.scope === 'network';
}
