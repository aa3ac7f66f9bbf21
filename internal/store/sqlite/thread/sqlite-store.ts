// The SQLite variant of the store seam, on a thread of its own: a lock that another process holds, a slow disk or a long
// transaction never stop the thread that carries traffic. Several edges may share one file (a rolling restart does): each
// hears of the others' writes within `pollIntervalMs`. When the thread dies the next call starts another, and a `reset`
// tells the tables to read again.

import { PosternError } from '../../../errors/error.ts';
import { ChangeFeed } from '../../contract/changes.ts';
import type { Store, StoreParts } from '../../contract/store.ts';
import { keepDeletedMs } from '../../sql/store-parts.ts';
import type { ThreadSetup } from './messages.ts';
import { StoreThread } from './store-thread.ts';

export interface SqliteStoreOptions {
  /** The database file; made (0600) when missing. `:memory:` for none. */
  readonly path: string;
  /** How often writes of other processes are looked for; a look costs some microseconds. Default 1,000. */
  readonly pollIntervalMs?: number;
  /** How long a write waits while another process holds the write lock; then it throws 'store.busy'. Default 10,000. */
  readonly lockWaitMs?: number;
  readonly now?: () => number;
  /** Hears that the thread died; calls that ran have failed, the next one starts another thread. */
  readonly onDeath?: (error: PosternError) => void;
}

/** Longer than any of our transactions, shorter than an API call of our commands (15 s). */
const defaultLockWaitMs = 10_000;
/** How soon after its start a thread that died is replaced: one that cannot live costs a start a second. */
const restartAfterMs = 1_000;

/** The methods of the seam. The type holds this list to it: one too few does not compile, nor one too many. */
const methods: { readonly [Part in keyof StoreParts]: Readonly<Record<keyof StoreParts[Part], true>> } = {
  accounts: {
    create: true,
    byName: true,
    get: true,
    zone: true,
    zonesOf: true,
    setZoneDomain: true,
    addToken: true,
    tokenByDigest: true,
    tokens: true,
    knownTokens: true,
    revokeToken: true,
  },
  tunnels: {
    create: true,
    find: true,
    get: true,
    update: true,
    list: true,
    remove: true,
    secret: true,
    configuration: true,
    setConfiguration: true,
  },
  hostnames: { route: true, get: true, list: true, update: true, remove: true },
  quickTunnels: { create: true, list: true, remove: true },
  presence: {
    beat: true,
    edges: true,
    clientsOf: true,
    tunnels: true,
    activity: true,
    forget: true,
    forgetTunnels: true,
  },
  networks: { create: true, update: true, remove: true, get: true, list: true },
  ipRoutes: { create: true, update: true, remove: true, list: true },
  publicPorts: { create: true, remove: true, list: true },
  balancing: { create: true, change: true, remove: true, list: true },
  certificates: {
    list: true,
    claim: true,
    keep: true,
    fail: true,
    postpone: true,
    remove: true,
    account: true,
    setAccount: true,
  },
  users: { create: true, get: true, list: true, remove: true, setLoginCode: true, takeLoginCode: true },
  groups: { create: true, list: true, remove: true, setMember: true },
  devices: { create: true, list: true, remove: true },
  audit: { add: true, list: true },
  tokenUses: { mark: true, of: true },
  privateHostnames: { create: true, update: true, remove: true, list: true },
};

/** Opens the store and brings its schema up to date. Throws 'store.failed', or 'store.busy' when it stays locked. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const changes = new ChangeFeed();
  const threads = new StoreThreads(options, changes);
  await threads.open();
  const part = <Part extends keyof StoreParts>(name: Part): StoreParts[Part] =>
    Object.fromEntries(
      Object.keys(methods[name]).map(method => [method, (...args: unknown[]) => threads.call(name, method, args)]),
    ) as unknown as StoreParts[Part];
  const close = (): Promise<void> => threads.close();
  return {
    changes,
    accounts: part('accounts'),
    tunnels: part('tunnels'),
    hostnames: part('hostnames'),
    quickTunnels: part('quickTunnels'),
    presence: part('presence'),
    networks: part('networks'),
    ipRoutes: part('ipRoutes'),
    privateHostnames: part('privateHostnames'),
    publicPorts: part('publicPorts'),
    balancing: part('balancing'),
    certificates: part('certificates'),
    users: part('users'),
    groups: part('groups'),
    devices: part('devices'),
    audit: part('audit'),
    tokenUses: part('tokenUses'),
    isReachable: () => true,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The thread of now, and the next one when it dies. */
class StoreThreads {
  readonly #options: SqliteStoreOptions;
  readonly #setup: ThreadSetup;
  readonly #changes: ChangeFeed;
  #thread: StoreThread;
  #startedAtMs = performance.now();
  #closed = false;

  constructor(options: SqliteStoreOptions, changes: ChangeFeed) {
    this.#options = options;
    this.#changes = changes;
    this.#setup = {
      path: options.path,
      pollIntervalMs: options.pollIntervalMs ?? 1_000,
      lockWaitMs: options.lockWaitMs ?? defaultLockWaitMs,
      forgetBeforeMs: (options.now ?? Date.now)() - keepDeletedMs,
    };
    this.#thread = this.#start();
  }

  async open(): Promise<void> {
    await this.#thread.opened;
    this.#watch(this.#thread);
  }

  async call(part: keyof StoreParts, method: string, args: readonly unknown[]): Promise<unknown> {
    if (this.#closed) throw new PosternError('store.failed', `The store ${this.#setup.path} is closed`);
    if (this.#thread.over && performance.now() - this.#startedAtMs >= restartAfterMs) this.#restart();
    return this.#thread.call(part, method, args);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread.close();
  }

  #start(): StoreThread {
    this.#startedAtMs = performance.now();
    return new StoreThread(this.#setup, change => this.#changes.publish(change));
  }

  /** Calls made before it is open wait in its queue. */
  #restart(): void {
    this.#thread = this.#start();
    const thread = this.#thread;
    thread.opened.then(
      // What happened while there was no thread, nobody heard of.
      () => this.#changes.publish({ kind: 'reset' }),
      () => undefined,
    );
    this.#watch(thread);
  }

  #watch(thread: StoreThread): void {
    void thread.ended.then(() => {
      if (!this.#closed) this.#options.onDeath?.(thread.failure);
    });
  }
}
