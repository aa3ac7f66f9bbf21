// Brings aioquic (PyPI) into a virtual environment of its own, once a machine, and runs it as a peer over JSON lines.

import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const version = '1.7.2';
/** Installing takes some seconds; a slow mirror may take a minute. */
const installMs = 180_000;
const here = dirname(fileURLToPath(import.meta.url));

let installed: Promise<string> | undefined;

/** Path of a Python that has aioquic. Throws with the reason when it cannot be brought. */
export function aioquicPython(): Promise<string> {
  installed ??= install();
  return installed;
}

async function install(): Promise<string> {
  const home = join(tmpdir(), `postern-aioquic-${version}-${process.getuid?.() ?? 0}`);
  const python = join(home, 'bin/python');
  if (existsSync(python)) return python;
  const fresh = mkdtempSync(`${home}-`);
  try {
    await run('python3', ['-m', 'venv', '--copies', fresh], { timeout: installMs });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `aioquic==${version}`];
    await run(join(fresh, 'bin/python'), pip, { timeout: installMs });
    // Whoever is first wins; the environment works at its new place because only its Python is called.
    if (!existsSync(python)) renameSync(fresh, home);
  } catch (error) {
    if (!existsSync(python))
      throw new Error(
        `The interop tests need python3 with venv and aioquic ${version} from PyPI (Debian: apt-get install python3-venv)`,
        { cause: error },
      );
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return python;
}

/** What the peer says; fields depend on `event`. */
export interface PeerEvent {
  readonly event: string;
  readonly port?: number;
  readonly stream?: number;
  readonly data?: string;
  readonly fin?: boolean;
  readonly code?: number;
  readonly reason?: string;
  readonly alpn?: string;
}

export interface PeerCommand {
  readonly op: 'open' | 'write' | 'reset' | 'stop' | 'datagram' | 'close' | 'ping';
  readonly stream?: number;
  /** Hex. */
  readonly data?: string;
  readonly fin?: boolean;
  readonly code?: number;
  readonly reason?: string;
}

/** A running peer. It is ended with the test. */
export class AioquicPeer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #events: PeerEvent[] = [];
  readonly #waiting: (() => void)[] = [];
  #errors = '';
  #over = false;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stderr.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
    createInterface({ input: child.stdout }).on('line', line => {
      this.#events.push(JSON.parse(line) as PeerEvent);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    child.once('exit', () => {
      this.#over = true;
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  tell(command: PeerCommand): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** Takes the first event of this kind (and stream) out of those that came, or waits for it. */
  async next(event: string, stream?: number): Promise<PeerEvent> {
    for (;;) {
      const fits = (each: PeerEvent): boolean => each.event === event && (stream ?? each.stream) === each.stream;
      const index = this.#events.findIndex(fits);
      if (index >= 0) return this.#events.splice(index, 1)[0] as PeerEvent;
      if (this.#over) throw new Error(`aioquic ended while '${event}' was awaited: ${this.#errors}`);
      await new Promise<void>(resolve => this.#waiting.push(resolve));
    }
  }

  /** Bytes of a stream up to its FIN. */
  async readAll(stream: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (;;) {
      const { data, fin } = await this.next('data', stream);
      parts.push(Buffer.from(data ?? '', 'hex'));
      if (fin === true) return Buffer.concat(parts);
    }
  }
}

/** Starts the peer script with these arguments. */
export async function startAioquic(test: TestContext, args: readonly string[]): Promise<AioquicPeer> {
  const child = spawn(await aioquicPython(), [join(here, 'aioquic-peer.py'), ...args], { stdio: 'pipe' });
  test.after(() => child.kill('SIGKILL'));
  return new AioquicPeer(child);
}
