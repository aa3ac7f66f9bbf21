// What passes between the store's thread and the rest of the program, as structured clones. A message to the thread is a
// call or 'close'; one from it tells that it is open, answers a call, or brings changes. Answers carry the changes that were
// committed before them, so that a caller's own write is heard of before its call returns.

import { describeError, PosternError } from '../../../errors/error.ts';
import type { ErrorCode } from '../../../errors/table.ts';
import type { StoreChange } from '../../contract/changes.ts';
import type { StoreParts } from '../../contract/store.ts';
import type { TableOptions } from '../open-tables.ts';

/** What the thread is started with, its `workerData`. */
export interface ThreadSetup extends TableOptions {
  /** How often writes of other processes are looked for. */
  readonly pollIntervalMs: number;
}

export interface StoreCall {
  readonly kind: 'call';
  /** Names the answer; the caller's to choose. */
  readonly id: number;
  readonly part: keyof StoreParts;
  readonly method: string;
  readonly args: readonly unknown[];
}

export type ThreadRequest = StoreCall | { readonly kind: 'close' };

export type ThreadMessage =
  | { readonly kind: 'opened' }
  /** It could not be opened; the thread ends. */
  | { readonly kind: 'refused'; readonly error: ErrorMessage }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown; readonly changes: readonly StoreChange[] }
  | {
      readonly kind: 'failed';
      readonly id: number;
      readonly error: ErrorMessage;
      readonly changes: readonly StoreChange[];
    }
  | { readonly kind: 'changed'; readonly changes: readonly StoreChange[] };

/** A PosternError on its way: a clone would lose its class. */
export interface ErrorMessage {
  readonly code: ErrorCode;
  readonly message: string;
  /** The texts of its causes, outermost first. */
  readonly cause: string | undefined;
}

export function encodeError(error: unknown): ErrorMessage {
  if (!(error instanceof PosternError))
    return { code: 'internal', message: 'A call of the store failed', cause: describeError(error) };
  const cause = error.cause === undefined ? undefined : describeError(error.cause);
  return { code: error.code, message: error.message, cause };
}

export function decodeError({ code, message, cause }: ErrorMessage): PosternError {
  return new PosternError(code, message, cause === undefined ? undefined : { cause: new Error(cause) });
}
