// Starts the load process, and the origins that are no nginx, and talks to them.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { within } from '../support/wait.ts';
import type { LoadResult } from './load.ts';
import type { LoadCommand } from './load-process.ts';
import type { TcpOriginPorts } from './tcp-origin.ts';

const directory = dirname(fileURLToPath(import.meta.url));
/** Beyond its time a load only waits for the answers under way. */
const waitMs = 30_000;

export interface LoadClient {
  run(command: LoadCommand): Promise<LoadResult>;
  close(): void;
}

export function openLoadClient(): LoadClient {
  const child = fork(join(directory, 'load-process.ts'));
  return {
    run: command => {
      child.send(command);
      return within('the load', message<LoadResult>(child), command.seconds * 1000 + waitMs);
    },
    close: () => child.disconnect(),
  };
}

export interface Origin<Ports> {
  readonly ports: Ports;
  close(): void;
}

/** Starts the origin of uploads over HTTP. */
export function openUploadSink(): Promise<Origin<number>> {
  return openOrigin('upload-sink.ts');
}

/** Starts the origin of slow visitors. */
export function openSlowOrigin(): Promise<Origin<number>> {
  return openOrigin('slow-origin.ts');
}

/** Starts the private host of TCP flows. */
export function openTcpOrigin(): Promise<Origin<TcpOriginPorts>> {
  return openOrigin('tcp-origin.ts');
}

async function openOrigin<Ports>(script: string): Promise<Origin<Ports>> {
  const child = fork(join(directory, script));
  return { ports: await message<Ports>(child), close: () => child.disconnect() };
}

/** The next message; rejects when the child ends instead. */
async function message<Message>(child: ChildProcess): Promise<Message> {
  const ended = new AbortController();
  const { signal } = ended;
  const exit = once(child, 'exit', { signal }).then(() => {
    throw new Error(`A process of the benchmark ended early: ${child.spawnargs.join(' ')}`);
  });
  try {
    const [value] = (await Promise.race([once(child, 'message', { signal }), exit])) as [Message];
    return value;
  } finally {
    exit.catch(() => undefined);
    ended.abort();
  }
}
