// Network namespaces for the benchmark, removed at its end, however it ends, and processes in them.

import { type ChildProcess, fork } from 'node:child_process';
import { createNamespaces, type Namespaces } from '../support/namespaces.ts';

export interface BenchNamespaces extends Namespaces, Disposable {}

/** A connector's namespace that allows ping sockets, and a private host's on one wire; or why they cannot be made. */
export function openNamespaces(): BenchNamespaces | { readonly lacking: string } {
  const made = createNamespaces();
  if ('lacking' in made) return made;
  // A signal would end the process without its 'exit' otherwise.
  const stop = (): never => process.exit(1);
  process.once('SIGINT', stop).once('SIGTERM', stop).once('exit', made.remove);
  made.setPingGroupRange('0 0');
  return {
    ...made,
    [Symbol.dispose]: () => {
      process.off('SIGINT', stop).off('SIGTERM', stop).off('exit', made.remove);
      made.remove();
    },
  };
}

/** As `fork`, in a namespace. */
export function forkIn(namespace: string, script: string, args: readonly string[] = []): ChildProcess {
  const execArgv = ['netns', 'exec', namespace, process.execPath, ...process.execArgv];
  return fork(script, [...args], { execPath: 'ip', execArgv });
}
