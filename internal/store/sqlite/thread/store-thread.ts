// The other end of the store's thread: starts it, sends it calls, settles them with its answers, and sees to its end. Calls
// are bounded in number, and each has a deadline. A thread that ends unasked fails its calls; sqlite-store.ts starts another.

import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { PosternError } from '../../../errors/error.ts';
import type { StoreChange } from '../../contract/changes.ts';
import type { StoreParts } from '../../contract/store.ts';
import { decodeError, type ThreadMessage, type ThreadRequest, type ThreadSetup } from './messages.ts';

/** Resolved in this one place; whoever bundles the program puts this file's bundle beside the one that holds this line. */
const entry = new URL('./entry.ts', import.meta.url);

/** Calls without an answer. A fleet of 1,000 connectors that comes back at once makes some 3,000. */
const maxUnanswered = 8_192;
/** Beyond the wait for a lock: what a healthy thread with a slow disk may take. */
const graceMs = 5_000;

interface RunningCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: PosternError) => void;
  readonly timer: NodeJS.Timeout;
}

export class StoreThread {
  /** Settles once the files are open. Rejects 'store.failed' or 'store.busy'; the thread has ended, or ends, then. */
  readonly opened: Promise<void>;
  /** Settles when the thread is over; never rejects. */
  readonly ended: Promise<void>;
  readonly #path: string;
  readonly #deadlineMs: number;
  readonly #worker: Worker;
  readonly #onChange: (change: StoreChange) => void;
  readonly #calls = new Map<number, RunningCall>();
  readonly #opening = Promise.withResolvers<void>();
  #nextId = 0;
  /** Those given up by their deadline count until the thread has answered them: they are in its queue. */
  #unanswered = 0;
  #failure: unknown;
  #over = false;

  /** Starts the thread. `onChange` hears of every change, in order; it must not throw. */
  constructor(setup: ThreadSetup, onChange: (change: StoreChange) => void) {
    this.#path = setup.path;
    this.#deadlineMs = setup.lockWaitMs + graceMs;
    this.#onChange = onChange;
    this.#worker = new Worker(entry, { name: 'store', workerData: setup, env: environment() });
    this.opened = this.#opening.promise;
    this.ended = new Promise(resolve => {
      this.#worker.once('exit', () => {
        this.#end();
        resolve();
      });
    });
    const timer = setTimeout(() => {
      this.#failure = this.#late();
      this.kill();
    }, this.#deadlineMs);
    this.opened.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    );
    this.#worker.on('message', (message: ThreadMessage) => this.#onMessage(message));
    this.#worker.on('error', error => {
      this.#failure ??= error;
    });
  }

  get over(): boolean {
    return this.#over;
  }

  /** Why calls fail once it is over. */
  get failure(): PosternError {
    if (this.#failure instanceof PosternError) return this.#failure;
    return new PosternError('store.failed', `The thread that serves ${this.#path} has ended`, { cause: this.#failure });
  }

  /**
   * Calls a method of a part. Rejects as the method does; 'store.busy' when too many calls wait; 'store.failed' when no
   * answer came in time or the thread ended: then nobody knows whether a change was made.
   */
  call(part: keyof StoreParts, method: string, args: readonly unknown[]): Promise<unknown> {
    if (this.#over) return Promise.reject(this.failure);
    if (this.#unanswered >= maxUnanswered) {
      return Promise.reject(
        new PosternError('store.busy', `${maxUnanswered} calls wait for ${this.#path} already: try again later`),
      );
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId;
      this.#nextId += 1;
      this.#send({ kind: 'call', id, part, method, args });
      this.#unanswered += 1;
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(this.#late());
      }, this.#deadlineMs);
      this.#calls.set(id, { resolve, reject, timer });
      this.#keepAlive();
    });
  }

  /** Lets the calls made so far finish, closes the files and ends the thread. Never rejects. */
  async close(): Promise<void> {
    if (this.#over) return;
    this.#worker.ref();
    this.#send({ kind: 'close' });
    const timer = setTimeout(() => this.kill(), this.#deadlineMs);
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends the thread at once, whatever it does: what was not committed is lost. */
  kill(): void {
    void this.#worker.terminate();
  }

  #send(request: ThreadRequest): void {
    this.#worker.postMessage(request);
  }

  #onMessage(message: ThreadMessage): void {
    switch (message.kind) {
      case 'opened':
        this.#opening.resolve();
        break;
      case 'refused':
        this.#failure = decodeError(message.error);
        this.#opening.reject(this.#failure);
        break;
      case 'changed':
        for (const change of message.changes) this.#onChange(change);
        return;
      case 'done':
      case 'failed': {
        for (const change of message.changes) this.#onChange(change);
        this.#unanswered -= 1;
        const call = this.#calls.get(message.id);
        this.#calls.delete(message.id);
        clearTimeout(call?.timer);
        if (message.kind === 'done') call?.resolve(message.value);
        else call?.reject(decodeError(message.error));
        break;
      }
    }
    this.#keepAlive();
  }

  /** An idle thread does not keep the program running; one with a call to answer does. */
  #keepAlive(): void {
    if (this.#calls.size > 0) this.#worker.ref();
    else this.#worker.unref();
  }

  #end(): void {
    this.#over = true;
    this.#opening.reject(this.failure);
    for (const call of this.#calls.values()) {
      clearTimeout(call.timer);
      call.reject(this.failure);
    }
    this.#calls.clear();
  }

  #late(): PosternError {
    return new PosternError(
      'store.failed',
      `No answer from ${this.#path} within ${this.#deadlineMs} ms: look at its disk. Whether a change was made is not known`,
    );
  }
}

/**
 * The thread gets nothing of the program's environment, which may hold secrets, but the folder of compiled code that the
 * program uses (a thread must be told): without it Node's compiler for types is loaded once more, some 30 MB.
 */
function environment(): Record<string, string> {
  const compiled = getCompileCacheDir();
  return compiled === undefined ? {} : { NODE_COMPILE_CACHE: dirname(compiled) };
}
