// Starts the load process and talks to it.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LoadResult } from './load.ts';
import type { LoadCommand, LoadEvent } from './load-process.ts';

const directory = dirname(fileURLToPath(import.meta.url));
/** Four connections start a second apart; anything that takes longer than this has failed. */
const waitMs = 30_000;

export interface LoadClient {
  readonly port: number;
  readonly caPin: string;
  /** Settles when exactly `count` connections are registered. */
  connections(count: number): Promise<void>;
  run(command: LoadCommand): Promise<LoadResult>;
  close(): void;
}

export async function openLoadClient(): Promise<LoadClient> {
  const child = fork(join(directory, 'load-process.ts'));
  const waiting = new Set<(event: LoadEvent) => void>();
  let connected = 0;
  child.on('message', (message: unknown) => {
    const event = message as LoadEvent;
    if (event.event === 'connections') connected = event.count;
    for (const look of waiting) look(event);
  });
  const until = <Found>(what: string, limitMs: number, find: (event: LoadEvent | undefined) => Found | undefined) => {
    const { promise, resolve, reject } = Promise.withResolvers<Found>();
    const fail = (): void => reject(new Error(`Waited for ${what} in vain.`));
    const timer = setTimeout(fail, limitMs);
    const look = (event: LoadEvent | undefined): void => {
      const found = find(event);
      if (found !== undefined) resolve(found);
    };
    waiting.add(look);
    child.once('exit', fail);
    look(undefined);
    return promise.finally(() => {
      clearTimeout(timer);
      waiting.delete(look);
      child.off('exit', fail);
    });
  };
  const { port, caPin } = await until('the edge', waitMs, event => (event?.event === 'listening' ? event : undefined));
  return {
    port,
    caPin,
    connections: async count => {
      await until(`${count} connections`, waitMs, () => (connected === count ? true : undefined));
    },
    run: command => {
      child.send(command);
      return until('the load', command.seconds * 1000 + waitMs, event =>
        event?.event === 'result' ? event.result : undefined,
      );
    },
    close: () => child.disconnect(),
  };
}

/** Starts the origin of uploads; resolves to its port and what ends it. */
export async function openUploadSink(): Promise<{ readonly port: number; close(): void }> {
  const child = fork(join(directory, 'upload-sink.ts'));
  const [port] = (await once(child, 'message')) as [number];
  return { port, close: () => child.disconnect() };
}
