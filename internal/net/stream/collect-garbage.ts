// V8's collector, asked for. It stays out of reach of the rest of the program.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A collection of the young generation, or one that gives back all it can and drops compiled code that has not run lately. */
export type Collection =
  | { readonly type: 'minor' }
  | { readonly type: 'major'; readonly execution: 'sync'; readonly flavor: 'last-resort' };

type Collect = (collection: Collection) => void;

let collect: Collect | undefined;

/** Collects at once. */
export function collectGarbage(collection: Collection): void {
  collect ??= exposeCollect();
  collect(collection);
}

/** V8 gives its collector to contexts made while the flag is on: one, which has nothing else. */
function exposeCollect(): Collect {
  setFlagsFromString('--expose-gc');
  const exposed: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  // A V8 without it would only collect as it always did.
  return typeof exposed === 'function' ? (exposed as Collect) : () => undefined;
}
