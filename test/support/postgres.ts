// A real PostgreSQL server for one test file: Debian's, in a directory of its own, reachable over a Unix socket alone, run by
// a user without rights. Installed when it is missing, without the cluster that Debian would start.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { installLock } from './debian-package.ts';
import { until } from './wait.ts';

const run = promisify(execFile);
const user = 'postgres';
const install = [
  'export DEBIAN_FRONTEND=noninteractive',
  'apt="apt-get install --yes --no-install-recommends"',
  '$apt postgresql-common || { apt-get update && $apt postgresql-common; }',
  // Else the package makes a cluster and starts it.
  'sed -i "s/^#*create_main_cluster.*/create_main_cluster = false/" /etc/postgresql-common/createcluster.conf',
  '$apt postgresql',
].join('\n');

/** Starts one; `undefined` when it is not here and cannot be installed. The caller stops it. */
export async function startPostgres(): Promise<TestPostgres | undefined> {
  let programs = findPrograms();
  if (programs === undefined) {
    // Not root, not Debian, or no network: the tests are skipped then.
    await run('flock', [installLock, 'sh', '-c', install], { timeout: 240_000 }).catch(() => undefined);
    programs = findPrograms();
  }
  return programs === undefined ? undefined : TestPostgres.create(programs);
}

export const noPostgres = 'PostgreSQL is not here and could not be installed (Debian: package postgresql)';

function findPrograms(): string | undefined {
  const [found] = globSync('/usr/lib/postgresql/*/bin/initdb').sort().reverse();
  return found === undefined ? undefined : dirname(found);
}

export class TestPostgres {
  readonly #programs: string;
  readonly #directory: string;
  readonly #unprivileged: readonly string[];
  readonly password = randomBytes(12).toString('hex');
  #child: ChildProcess | undefined;

  private constructor(programs: string, directory: string, unprivileged: readonly string[]) {
    this.#programs = programs;
    this.#directory = directory;
    this.#unprivileged = unprivileged;
  }

  static async create(programs: string): Promise<TestPostgres> {
    const directory = await mkdtemp(join(tmpdir(), 'postern-pg-'));
    const unprivileged: string[] = [];
    if (process.getuid?.() === 0) {
      const idOf = async (flag: string) => Number((await run('id', [flag, 'nobody'])).stdout);
      const [uid, gid] = [await idOf('-u'), await idOf('-g')];
      await chown(directory, uid, gid);
      unprivileged.push(`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups');
    }
    const server = new TestPostgres(programs, directory, unprivileged);
    const passwordFile = join(directory, 'password');
    await writeFile(passwordFile, server.password, { mode: 0o644 });
    const data = join(directory, 'data');
    const flags = ['--no-sync', '--no-instructions', '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8'];
    const initdb = [join(programs, 'initdb'), ...flags, `--username=${user}`, `--pwfile=${passwordFile}`, data];
    await run('setpriv', [...unprivileged, ...initdb], { cwd: directory, timeout: 60_000 });
    await server.start();
    return server;
  }

  /** Without a password; see `password`. */
  urlOf(database: string): string {
    return `postgres://${user}@localhost/${database}?host=${encodeURIComponent(this.#directory)}`;
  }

  urlWithPassword(database: string): string {
    return this.urlOf(database).replace(`${user}@`, `${user}:${this.password}@`);
  }

  /** A new, empty database; gives its name. */
  async createDatabase(): Promise<string> {
    const name = `t${randomUUID().replaceAll('-', '')}`;
    await this.query('postgres', `CREATE DATABASE ${name}`);
    return name;
  }

  /** Runs one statement as the server's owner. */
  async query(database: string, sql: string): Promise<readonly Record<string, unknown>[]> {
    const client = new Client({ host: this.#directory, user, password: this.password, database });
    // It may be killed while it is connected.
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async start(): Promise<void> {
    const settings = [
      ...['listen_addresses=', `unix_socket_directories=${this.#directory}`, 'fsync=off', 'shared_buffers=16MB'],
      ...['max_connections=60', 'logging_collector=off', 'autovacuum=off'],
    ].flatMap(setting => ['-c', setting]);
    const postgres = [join(this.#programs, 'postgres'), '-D', join(this.#directory, 'data'), ...settings];
    // After a kill its children may hold its memory for a moment: it is started until it stays.
    await until('PostgreSQL to start', async () => {
      if (this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) {
        const args = [...this.#unprivileged, '--pdeathsig=INT', ...postgres];
        this.#child = spawn('setpriv', args, { cwd: this.#directory, stdio: 'ignore' });
      }
      return this.query('postgres', 'SELECT 1').then(
        () => true,
        () => false,
      );
    });
  }

  /** kill -9; settles when it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGQUIT');
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}
