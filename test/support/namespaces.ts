// Network namespaces for tests on Linux: a connector's host and a private host on one wire (veth), addresses of both
// families. Installs iproute2 where it is missing and may be installed; says what lacks otherwise.

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';

export interface Namespaces {
  /** Where the connector runs: 10.77.1.1, fd77:1::1. */
  readonly connector: string;
  /** The private host: 10.77.1.2 and 10.77.1.3, fd77:1::2. */
  readonly host: string;
  /** Sets `net.ipv4.ping_group_range` of the connector's namespace: `0 0` allows group 0, `1 0` nobody. */
  setPingGroupRange(range: '0 0' | '1 0'): void;
  /** Runs a command in a namespace and gives its output; throws when it fails. */
  run(namespace: string, ...command: readonly string[]): string;
  /** Removes everything. */
  remove(): void;
}

let made = 0;

/** Makes a pair of namespaces, or tells in words why that cannot be done here. */
export function createNamespaces(): Namespaces | { readonly lacking: string } {
  if (process.platform !== 'linux') return { lacking: 'network namespaces exist on Linux only' };
  if (process.getuid?.() !== 0) return { lacking: 'network namespaces need root (CAP_SYS_ADMIN and CAP_NET_ADMIN)' };
  if (!has('ip') && !install('iproute2')) return { lacking: 'the package iproute2, and it cannot be installed here' };
  if (!has('setpriv') && !install('util-linux')) return { lacking: 'the package util-linux (setpriv)' };
  made += 1;
  const connector = `postern-${process.pid}-${made}c`;
  const host = `postern-${process.pid}-${made}h`;
  const first = spawnSync('ip', ['netns', 'add', connector]);
  if (first.status !== 0) return { lacking: `permission to add a network namespace: ${String(first.stderr).trim()}` };
  const run: Namespaces['run'] = (namespace, ...command) => checked('ip', 'netns', 'exec', namespace, ...command);
  const remove = (): void => {
    for (const name of [connector, host]) spawnSync('ip', ['netns', 'delete', name]);
  };
  try {
    checked('ip', 'netns', 'add', host);
    checked('ip', 'link', 'add', 'wire', 'netns', connector, 'type', 'veth', 'peer', 'name', 'wire', 'netns', host);
    for (const [name, addresses] of [
      [connector, ['10.77.1.1/24', 'fd77:1::1/64']],
      [host, ['10.77.1.2/24', '10.77.1.3/24', 'fd77:1::2/64']],
    ] as const) {
      checked('ip', '-n', name, 'link', 'set', 'lo', 'up');
      for (const address of addresses) {
        const nodad = address.includes(':') ? ['nodad'] : [];
        checked('ip', '-n', name, 'address', 'add', address, 'dev', 'wire', ...nodad);
      }
      checked('ip', '-n', name, 'link', 'set', 'wire', 'up');
    }
  } catch (error) {
    remove();
    return { lacking: error instanceof Error ? error.message : String(error) };
  }
  return {
    connector,
    host,
    setPingGroupRange: range => {
      run(connector, 'sh', '-c', `echo ${range} > /proc/sys/net/ipv4/ping_group_range`);
    },
    run,
    remove,
  };
}

/** The command line that runs a program in a namespace as root without any capability but those named. */
export function inNamespace(
  namespace: string,
  capabilities: readonly string[],
  command: readonly string[],
): readonly [string, readonly string[]] {
  const bounding = ['-all', ...capabilities.map(name => `+${name}`)].join(',');
  return ['ip', ['netns', 'exec', namespace, 'setpriv', `--bounding-set=${bounding}`, ...command]];
}

function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

function install(name: string): boolean {
  return spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', name]).status === 0;
}

function checked(program: string, ...parameters: readonly string[]): string {
  const done: SpawnSyncReturns<string> = spawnSync(program, parameters, { encoding: 'utf8' });
  if (done.status === 0) return done.stdout;
  throw new Error(`${[program, ...parameters].join(' ')} failed: ${done.stderr.trim()}`);
}
