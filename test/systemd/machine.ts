// A machine of its own with systemd as its first process: Debian in a container of systemd-nspawn, with this checkout and this
// Node inside, read-only. The files of Debian are fetched once and kept; what a test changes is thrown away with it.

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from '../support/child-program.ts';
import { haveCommand } from '../support/debian-package.ts';
import { until, within } from '../support/wait.ts';

const run = promisify(execFile);
/** Debian 12, whose systemd is 252. */
const suite = 'bookworm';
const packages = 'systemd,systemd-sysv,dbus,libatomic1,iproute2,procps';
const fetchMs = 600_000;
/** Some seconds on an idle machine. */
const bootMs = 120_000;
/** A command inside: starting a service may wait for a minute. */
const commandMs = 120_000;

export interface Outcome {
  /** Exit code; -1 for a signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Why machines cannot be made here, or undefined. */
export function machineLacks(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'containers take root on Linux';
  for (const [command, name] of [
    ['systemd-nspawn', 'systemd-container'],
    ['debootstrap', 'debootstrap'],
    ['nsenter', 'util-linux'],
  ] as const)
    if (!haveCommand(command, [name])) return `${command} is not here (package ${name})`;
  return undefined;
}

export class Machine implements AsyncDisposable {
  readonly #container: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #init: number;

  private constructor(container: ChildProcess, ended: Promise<unknown>, init: number) {
    this.#container = container;
    this.#ended = ended;
    this.#init = init;
  }

  /** Boots one and waits until its services have started. `srv` is a folder that it sees as /srv/given, read-only. */
  static async boot(srv?: string): Promise<Machine> {
    const root = await debianRoot();
    const container = spawn(
      'systemd-nspawn',
      [
        ...['--directory', root, '--volatile=overlay', '--machine', `postern-${process.pid}`, '--boot'],
        ...['--register=no', '--keep-unit', '--private-network', '--console=pipe', '--quiet'],
        ...(srv === undefined ? [] : [`--bind-ro=${srv}:/srv/given`]),
        ...[`--bind-ro=${repository}:/opt/postern`, `--bind-ro=${dirname(process.execPath)}:/opt/node`],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let errors = '';
    container.stderr.on('data', chunk => {
      errors += chunk;
    });
    const ended = new Promise(resolve => container.once('exit', resolve));
    const booted = { init: 0 };
    try {
      await until(
        'the first process of the machine',
        () => {
          if (container.exitCode !== null) throw new Error(`systemd-nspawn ended: ${errors}`);
          booted.init = initOf(container.pid ?? 0);
          return booted.init > 0;
        },
        bootMs,
      );
      const machine = new Machine(container, ended, booted.init);
      await until(
        'the services of the machine',
        async () => /^(running|degraded)$/m.test((await machine.run('systemctl', 'is-system-running')).stdout),
        bootMs,
      );
      return machine;
    } catch (error) {
      container.kill('SIGKILL');
      await ended;
      throw error;
    }
  }

  /** Runs a command inside, as root. */
  async run(...words: readonly string[]): Promise<Outcome> {
    const args = ['--target', String(this.#init), '--all', '--', ...words];
    try {
      return { code: 0, ...(await run('nsenter', args, { timeout: commandMs, maxBuffer: 16 << 20 })) };
    } catch (error) {
      const { code, stdout = '', stderr = '' } = error as { code?: unknown; stdout?: string; stderr?: string };
      return { code: typeof code === 'number' ? code : -1, stdout, stderr };
    }
  }

  /** Runs a line of shell inside; throws when it fails. */
  async sh(line: string): Promise<string> {
    const outcome = await this.run('sh', '-ec', line);
    if (outcome.code !== 0) throw new Error(`${line} failed (${outcome.code}):\n${outcome.stdout}${outcome.stderr}`);
    return outcome.stdout;
  }

  /** Runs `postern ARGS` inside. */
  postern(...args: readonly string[]): Promise<Outcome> {
    return this.run('env', 'POSTERN_STATE_DIR=/var/lib/postern/edge', ...posternWords, ...args);
  }

  /** Ends every process of it at once: nothing in it is worth an orderly end. */
  async [Symbol.asyncDispose](): Promise<void> {
    process.kill(this.#init, 'SIGKILL');
    await within('the end of the container', this.#ended).catch(() => this.#container.kill('SIGKILL'));
  }
}

/** The program inside. */
export const posternWords = ['/opt/node/node', '--disable-warning=ExperimentalWarning', '/opt/postern/cmd/postern.js'];

/** The first process of the machine whose container is `pid`; 0 until it runs. Processes that prepare it come and go before. */
function initOf(pid: number): number {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    const init = children.find(child => readFileSync(`/proc/${child}/comm`, 'utf8').trim() === 'systemd');
    return Number(init ?? 0);
  } catch {
    // One has ended meanwhile.
    return 0;
  }
}

async function debianRoot(): Promise<string> {
  const root = join(tmpdir(), `postern-systemd-${suite}`);
  if (existsSync(join(root, 'usr/bin/systemctl'))) return root;
  const fresh = mkdtempSync(`${root}-`);
  try {
    await run('debootstrap', ['--variant=minbase', `--include=${packages}`, suite, fresh], {
      timeout: fetchMs,
      maxBuffer: 16 << 20,
    });
    for (const directory of ['opt/postern', 'opt/node']) mkdirSync(join(fresh, directory), { recursive: true });
    spawnSync('chmod', ['755', fresh]);
    renameSync(fresh, root);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    throw error;
  }
  return root;
}
