// Brings a package of PyPI into a virtual environment of its own, once a machine, and runs a script with it as a peer over
// JSON lines: commands on stdin, events on stdout.

import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Installing takes some seconds; a slow mirror may take a minute. */
const installMs = 180_000;
const here = dirname(fileURLToPath(import.meta.url));

const installed = new Map<string, Promise<string>>();

/** Path of a Python that has this version of the package. Throws with the reason when it cannot be brought. */
export function pythonWith(name: string, version: string): Promise<string> {
  const known = installed.get(name) ?? install(name, version);
  installed.set(name, known);
  return known;
}

async function install(name: string, version: string): Promise<string> {
  const home = join(tmpdir(), `postern-${name}-${version}-${process.getuid?.() ?? 0}`);
  const python = join(home, 'bin/python');
  if (existsSync(python)) return python;
  const fresh = mkdtempSync(`${home}-`);
  try {
    await run('python3', ['-m', 'venv', '--copies', fresh], { timeout: installMs });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `${name}==${version}`];
    await run(join(fresh, 'bin/python'), pip, { timeout: installMs });
    // Whoever is first wins; the environment works at its new place because only its Python is called.
    if (!existsSync(python)) renameSync(fresh, home);
  } catch (error) {
    if (!existsSync(python))
      throw new Error(
        `The interop tests need python3 with venv and ${name} ${version} from PyPI (Debian: apt-get install python3-venv)`,
        { cause: error },
      );
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return python;
}

/** What every event has. */
export interface AnyEvent {
  readonly event: string;
  readonly stream?: number;
}

/** A running peer. It is ended with the test. */
export class PythonPeer<Command, Event extends AnyEvent> {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #events: Event[] = [];
  readonly #waiting: (() => void)[] = [];
  #errors = '';
  #over = false;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stderr.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
    createInterface({ input: child.stdout }).on('line', line => {
      this.#events.push(JSON.parse(line) as Event);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    child.stdin.on('error', () => undefined);
    child.once('exit', () => {
      this.#over = true;
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  tell(command: Command): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** Takes the first event of this kind (and stream) out of those that came. */
  taken(event: string, stream?: number): Event | undefined {
    const fits = (each: Event): boolean => each.event === event && (stream ?? each.stream) === each.stream;
    const index = this.#events.findIndex(fits);
    return index < 0 ? undefined : this.#events.splice(index, 1)[0];
  }

  /** Takes such an event, or waits for it. */
  async next(event: string, stream?: number): Promise<Event> {
    for (;;) {
      const found = this.taken(event, stream);
      if (found !== undefined) return found;
      if (this.#over) throw new Error(`The peer ended while '${event}' was awaited: ${this.#errors}`);
      await new Promise<void>(resolve => this.#waiting.push(resolve));
    }
  }
}

/** Starts a script of this folder. */
export function spawnPython(test: TestContext, python: string, script: string, args: readonly string[]) {
  const child = spawn(python, [join(here, script), ...args], { stdio: 'pipe' });
  test.after(() => child.kill('SIGKILL'));
  return child;
}
