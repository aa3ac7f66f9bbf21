// Keeps a table in memory the same as the store: reads all of it once, then puts every change in. Right for every store that
// keeps the feed's rules (contract/changes.ts), also for one that tells changes late or answers late.
//
//   reading ──▶ current ──'reset'──▶ reading, with the table as it was
//      ▲──── failed: again a second later ◀────┘
//
// A read shows the store at some moment of the read. Changes that are told meanwhile may be in it or not, so they are put
// into what was read once more, in their order: the last change of a key counts, however often it is put in.

import type { ChangeFeed, StoreChange } from '../contract/changes.ts';

export interface FollowedTable<Snapshot> {
  /** Reads everything that the table is made of. */
  readonly read: () => Promise<Snapshot>;
  /** Makes the table anew from what was read. Must not throw. */
  readonly replace: (snapshot: Snapshot) => void;
  /** Puts one change in, twice to the same end as once; returns whether it concerned the table. Must not throw. */
  readonly apply: (change: StoreChange) => boolean;
  /** Told after the table changed. Must not throw. */
  readonly onChange?: () => void;
  /** Hears why reading again failed; the table stays as it is, and is read again a second later. */
  readonly onError: (error: unknown) => void;
}

/** Changes remembered during a read; beyond that the read starts over. */
const maxMeanwhile = 10_000;
const retryMs = 1_000;

/** Settles when the table is complete; rejects as the first read does. Follows until the returned function is called. */
export async function followTable<Snapshot>(feed: ChangeFeed, table: FollowedTable<Snapshot>): Promise<() => void> {
  const { read, replace, apply, onChange, onError } = table;
  /** Told since the read under way began; undefined while there is none. */
  let meanwhile: StoreChange[] | undefined;
  /** The read under way is of no use any more. */
  let outdated = false;
  let stopped = false;
  let retry: NodeJS.Timeout | undefined;

  const load = async (): Promise<void> => {
    try {
      for (let current = false; !current && !stopped; ) {
        outdated = false;
        meanwhile = [];
        const snapshot = await read();
        if (outdated || stopped) continue;
        replace(snapshot);
        for (const change of meanwhile) apply(change);
        current = true;
      }
    } finally {
      meanwhile = undefined;
    }
    if (!stopped) onChange?.();
  };
  const reload = (): void => {
    clearTimeout(retry);
    load().catch((error: unknown) => {
      if (stopped) return;
      onError(error);
      retry = setTimeout(reload, retryMs);
      retry.unref();
    });
  };
  const unsubscribe = feed.subscribe(change => {
    if (change.kind === 'reset') {
      if (meanwhile === undefined) reload();
      else outdated = true;
      return;
    }
    if (meanwhile !== undefined && meanwhile.push(change) > maxMeanwhile) {
      outdated = true;
      meanwhile = [];
    }
    if (apply(change)) onChange?.();
  });
  const stop = (): void => {
    stopped = true;
    clearTimeout(retry);
    unsubscribe();
  };
  try {
    await load();
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}
