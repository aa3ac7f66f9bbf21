// Watches the config file, and hands over its contents after each change that leaves it valid. Works with editors that write in place, with those that rename a new file over the old one, and with
// symlinks that are swapped as a whole (Kubernetes config maps).

import { type FSWatcher, watch } from 'node:fs';
import { readlink, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { describeError, foreignCode, PosternError } from '../../errors/error.ts';
import { type ConfigFile, parseConfigFile, readConfigText } from './config-file.ts';

export interface WatchOptions {
  readonly path: string;
  /** The text that is in use; a file that differs from it already is reported at once. Undefined: what is there now. */
  readonly text?: string | undefined;
  /** A valid file whose text changed, or any valid file after `reload`. The next one waits until this has settled. */
  readonly onChange: (file: ConfigFile) => void | Promise<void>;
  /** The file became invalid or unreadable: what was in use stays in use. Called once for each such text. */
  readonly onError: (error: PosternError) => void;
  /** Quiet time after the last event before the file is read. 100 ms: writers write a config file in one or two steps. */
  readonly debounceMs?: number;
  /** How often the file is looked at without any event, for file systems that report none (network mounts, some containers). */
  readonly pollMs?: number;
}

export interface ConfigWatcher extends AsyncDisposable {
  /** Read the file now and report it even when its text has not changed (SIGHUP: files it names may have). */
  reload(): void;
  /** Stops watching; resolves when a running callback has settled. Idempotent. */
  close(): Promise<void>;
}

/** Events that never pause are read through after this long. */
const maxDelayMs = 1000;
/** A file that is suddenly empty is about to be written: it is believed only after this long. */
const emptyDelayMs = 1000;

/** Starts watching; resolves once the watch is armed. Its timers and watches do not keep the process alive. */
export async function watchConfigFile(options: WatchOptions): Promise<ConfigWatcher> {
  const watcher = new Watcher(options);
  await watcher.start();
  return watcher;
}

class Watcher implements ConfigWatcher {
  readonly #options: WatchOptions;
  readonly #path: string;
  /** By directory and inode, so that a directory made anew is noticed. */
  readonly #watches = new Map<string, FSWatcher>();
  #lastText: string | undefined;
  #lastFault: string | undefined;
  #signature = '';
  #timer: NodeJS.Timeout | undefined;
  #firstEventAt: number | undefined;
  #poll: NodeJS.Timeout | undefined;
  #force = false;
  #again = false;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#path = resolve(options.path);
    this.#lastText = options.text;
  }

  async start(): Promise<void> {
    await this.#arm();
    this.#signature = await this.#fileSignature();
    if (this.#lastText === undefined) this.#lastText = await readConfigText(this.#path).catch(() => undefined);
    else this.#schedule();
    this.#poll = setInterval(() => this.#lookAround(), this.#options.pollMs ?? 5000);
    this.#poll.unref();
  }

  reload(): void {
    this.#force = true;
    this.#schedule(0);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#poll);
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #schedule(delayMs = this.#options.debounceMs ?? 100): void {
    if (this.#closed) return;
    const now = performance.now();
    this.#firstEventAt ??= now;
    const latest = this.#firstEventAt + Math.max(maxDelayMs, delayMs) - now;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fire(), Math.max(0, Math.min(delayMs, latest)));
    this.#timer.unref();
  }

  #fire(): void {
    this.#firstEventAt = undefined;
    if (this.#running !== undefined) {
      // Read once more after this run: its read may have come before the write that fired us.
      this.#again = true;
      return;
    }
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.#schedule(0);
    });
  }

  async #run(): Promise<void> {
    const force = this.#force;
    this.#force = false;
    try {
      // Watches first: a change that comes after this read will fire again.
      await this.#arm();
      this.#signature = await this.#fileSignature();
      const text = await this.#readSettled();
      if (this.#closed || (text === this.#lastText && this.#lastFault === undefined && !force)) return;
      if (text === this.#lastFault && !force) return;
      this.#lastFault = text;
      const file = parseConfigFile(text, this.#options.path);
      await this.#options.onChange(file);
      this.#lastText = text;
      this.#lastFault = undefined;
    } catch (error) {
      this.#report(error, force);
    }
  }

  #report(error: unknown, force: boolean): void {
    if (this.#closed) return;
    const fault =
      error instanceof PosternError
        ? error
        : new PosternError(
            'config.invalid',
            `Config file ${this.#path} could not be taken over: ${describeError(error)}`,
            {
              cause: error,
            },
          );
    if (fault.code === 'config.not-found') {
      if (this.#lastFault === fault.message && !force) return;
      this.#lastFault = fault.message;
    }
    this.#options.onError(fault);
  }

  /** The text, after a moment's patience with a file that is being replaced. */
  async #readSettled(): Promise<string> {
    const text = await readConfigText(this.#path).catch((error: unknown) => {
      if (error instanceof PosternError && error.code === 'config.not-found') return undefined;
      throw error;
    });
    const suspicious = text === undefined || (text.trim() === '' && (this.#lastText ?? '').trim() !== '');
    if (!suspicious) return text;
    await new Promise<void>(done => {
      setTimeout(done, emptyDelayMs);
    });
    return readConfigText(this.#path);
  }

  #lookAround(): void {
    if (this.#running !== undefined) return;
    this.#fileSignature()
      .then(async signature => {
        if (this.#closed) return;
        if (signature !== this.#signature) this.#schedule(0);
        else await this.#arm();
      })
      .catch((error: unknown) => this.#report(error, false));
  }

  /** Changes with every write and every replacement; '' when the file is absent. */
  async #fileSignature(): Promise<string> {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(this.#path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      if (foreignCode(error) === undefined) throw error;
      return '';
    }
  }

  /** Watches every directory that the file's name leads through; those that no longer count are let go. */
  async #arm(): Promise<void> {
    const wanted = new Map<string, string>();
    for (const directory of await this.#directories()) {
      try {
        const { dev, ino } = await stat(directory, { bigint: true });
        wanted.set(`${directory} ${dev} ${ino}`, directory);
      } catch (error) {
        // Gone: its parent, or the poll, tells when it is back.
        if (foreignCode(error) === undefined) throw error;
      }
    }
    if (this.#closed) return;
    for (const [key, directory] of wanted) if (!this.#watches.has(key)) this.#watch(key, directory);
    for (const [key, watch] of this.#watches) {
      if (wanted.has(key)) continue;
      watch.close();
      this.#watches.delete(key);
    }
  }

  #watch(key: string, directory: string): void {
    const drop = (): void => {
      this.#watches.get(key)?.close();
      this.#watches.delete(key);
    };
    try {
      // Any name may matter: a swapped symlink has another one than the file.
      const opened = watch(directory, { persistent: false }, () => this.#schedule());
      opened.on('error', drop);
      this.#watches.set(key, opened);
    } catch (error) {
      // No watches left, or none on this file system: the poll remains.
      if (foreignCode(error) === undefined) throw error;
    }
  }

  async #directories(): Promise<ReadonlySet<string>> {
    const found = new Set([dirname(this.#path)]);
    let current = this.#path;
    try {
      for (let links = 0; links < 16; links += 1) {
        current = resolve(dirname(current), await readlink(current));
        found.add(dirname(current));
      }
    } catch (error) {
      // EINVAL: not a link, the end of the chain; ENOENT: a dangling one.
      if (foreignCode(error) === undefined) throw error;
    }
    try {
      found.add(dirname(await realpath(this.#path)));
    } catch (error) {
      if (foreignCode(error) === undefined) throw error;
    }
    return found;
  }
}
