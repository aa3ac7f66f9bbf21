// Network namespaces for the benchmark, removed when its process exits at the latest, and processes in them.

import { type ChildProcess, fork } from 'node:child_process';
import { createNamespaces, type Namespaces } from '../support/namespaces.ts';

export interface BenchNamespaces extends Namespaces, Disposable {}

/** A connector's namespace that allows ping sockets, and a private host's on one wire; or why they cannot be made. */
export function openNamespaces(): BenchNamespaces | { readonly lacking: string } {
  const made = createNamespaces();
  if ('lacking' in made) return made;
  process.once('exit', made.remove);
  made.setPingGroupRange('0 0');
  return {
    ...made,
    [Symbol.dispose]: () => {
      process.off('exit', made.remove);
      made.remove();
    },
  };
}

/** As `fork`, in a namespace. */
export function forkIn(namespace: string, script: string, args: readonly string[] = []): ChildProcess {
  const execArgv = ['netns', 'exec', namespace, process.execPath, ...process.execArgv];
  return fork(script, [...args], { execPath: 'ip', execArgv });
}
