// The store's own thread: opens the SQLite files and serves calls until it is told to close. What waits for a disk or for
// another process's lock waits here. Started by store-thread.ts only.

import { parentPort, workerData } from 'node:worker_threads';
import { ChangeFeed, type StoreChange } from '../../contract/changes.ts';
import { openTables, type Tables } from '../open-tables.ts';
import { encodeError, type StoreCall, type ThreadMessage, type ThreadRequest, type ThreadSetup } from './messages.ts';

/** Any method of a part, by the name that a call brings. */
type AnyMethod = (...args: readonly unknown[]) => Promise<unknown>;

const port = parentPort;
if (port === null) throw new Error('This file is the store’s thread, not a program.');
const tell = (message: ThreadMessage): void => port.postMessage(message);
const { pollIntervalMs, ...options } = workerData as ThreadSetup;

const feed = new ChangeFeed();
/** Committed, and not told yet. */
const untold: StoreChange[] = [];
feed.subscribe(change => untold.push(change));

async function serve(tables: Tables, { id, part, method, args }: StoreCall): Promise<void> {
  try {
    const methods = tables.parts[part] as unknown as Readonly<Record<string, AnyMethod>>;
    const value = await methods[method]?.(...args);
    tell({ kind: 'done', id, value, changes: untold.splice(0) });
  } catch (error) {
    tell({ kind: 'failed', id, error: encodeError(error), changes: untold.splice(0) });
  }
}

function serveAll(tables: Tables): void {
  const poll = setInterval(() => {
    tables.noticeForeignChanges();
    if (untold.length > 0) tell({ kind: 'changed', changes: untold.splice(0) });
  }, pollIntervalMs);
  port?.on('message', (request: ThreadRequest) => {
    if (request.kind === 'call') {
      void serve(tables, request);
      return;
    }
    clearInterval(poll);
    // The answers of running calls are posted before the files are closed; then nothing holds the thread any more.
    void tables.close().then(() => port.close());
  });
  tell({ kind: 'opened' });
}

try {
  serveAll(await openTables(options, feed));
} catch (error) {
  tell({ kind: 'refused', error: encodeError(error) });
}
