// Forward proxies from Debian's packages, each in a network namespace: squid, tinyproxy, dante. They end with the test.

import { spawn, spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { haveCommand } from './debian-package.ts';
import { until } from './wait.ts';

export interface ForwardProxyWorld {
  readonly namespace: string;
  /** Where the proxy listens. */
  readonly host: string;
  readonly port: number;
  /** An empty directory for its files. */
  readonly directory: string;
}

/** A running proxy. */
export interface RunningProxy {
  /** Ends it and everything that it carries, as a crash does. */
  kill(): Promise<void>;
}

export const proxyUser = 'alice';
/** Tinyproxy takes letters, digits and dashes only. */
export const proxyPassword = 'passw0rd-of-alice';

/** The packages of the proxies that are not here and cannot be installed. */
export function lackingProxies(): readonly string[] {
  const wanted = [
    ['squid', 'squid'],
    ['tinyproxy', 'tinyproxy'],
    ['danted', 'dante-server'],
  ] as const;
  return wanted.filter(([command, name]) => !haveCommand(command, [name])).map(([, name]) => name);
}

/** Squid with its default of ports that CONNECT may reach, 443 alone, for everybody. */
export async function startSquid(t: TestContext, world: ForwardProxyWorld): Promise<RunningProxy> {
  const file = await writeConfiguration(world, [
    `http_port ${world.host}:${world.port}`,
    'acl SSL_ports port 443',
    'acl CONNECT method CONNECT',
    'http_access deny CONNECT !SSL_ports',
    'http_access allow all',
    `pid_filename ${join(world.directory, 'squid.pid')}`,
    `cache_log ${join(world.directory, 'cache.log')}`,
    'access_log none',
    'cache deny all',
    'pinger_enable off',
    'shutdown_lifetime 0 seconds',
    'dns_nameservers 127.0.0.1',
  ]);
  return run(t, world, ['squid', '-N', '-f', file]);
}

/** Tinyproxy with a user, and CONNECT to every port. */
export async function startTinyproxy(t: TestContext, world: ForwardProxyWorld): Promise<RunningProxy> {
  const file = await writeConfiguration(world, [
    `Port ${world.port}`,
    `Listen ${world.host}`,
    'Timeout 600',
    'MaxClients 50',
    `BasicAuth ${proxyUser} ${proxyPassword}`,
  ]);
  return run(t, world, ['tinyproxy', '-d', '-c', file]);
}

/** Dante, SOCKS5, for everybody and everywhere. */
export async function startDante(t: TestContext, world: ForwardProxyWorld): Promise<RunningProxy> {
  const file = await writeConfiguration(world, [
    `logoutput: ${join(world.directory, 'danted.log')}`,
    `internal: ${world.host} port = ${world.port}`,
    'external: lo',
    'clientmethod: none',
    'socksmethod: none',
    'user.privileged: root',
    'user.unprivileged: nobody',
    'client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
    'socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
  ]);
  return run(t, world, ['danted', '-f', file, '-p', join(world.directory, 'danted.pid')]);
}

async function writeConfiguration({ directory }: ForwardProxyWorld, lines: readonly string[]): Promise<string> {
  await mkdir(directory, { recursive: true });
  const file = join(directory, 'proxy.conf');
  await writeFile(file, `${lines.join('\n')}\n`);
  // Squid and dante give up root and read and write as somebody else.
  spawnSync('chmod', ['-R', 'a+rwX', directory]);
  return file;
}

async function run(
  t: TestContext,
  { namespace, host, port }: ForwardProxyWorld,
  command: readonly string[],
): Promise<RunningProxy> {
  const child = spawn('ip', ['netns', 'exec', namespace, ...command], { detached: true, stdio: 'ignore' });
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()));
  const kill = async (): Promise<void> => {
    // Dante and squid are several processes: the group ends.
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
      process.kill(-child.pid, 'SIGKILL');
    await exited;
  };
  t.after(kill);
  const probe = `require('node:net').connect(${port}, '${host}').on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;
  await until(`${command[0]} to listen`, async () => {
    const probing = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', probe], { stdio: 'ignore' });
    return new Promise<boolean>(resolve => probing.once('exit', code => resolve(code === 0)));
  });
  return { kill };
}
