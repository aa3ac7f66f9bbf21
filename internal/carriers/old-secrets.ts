// The end of a tunnel's old secret: connections that registered with it are cut when its time is over. Those that registered
// with the present one, before or since, go on.

import { errorFields } from '../errors/error.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { Store } from '../store/contract/store.ts';
import { matchesSecret } from '../store/secret-box.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ConnectorRegistry } from './connector-registry.ts';

/** Longer waits are cut into several: Node takes them for none. */
const longestWaitMs = 2 ** 31 - 1;
/** When a secret that could not be read is read again. */
const retryMs = 5_000;

export interface OldSecretsOptions {
  readonly store: Store;
  readonly registry: ConnectorRegistry;
  readonly logger: Logger;
  readonly now?: () => number;
}

export class OldSecrets {
  readonly #options: OldSecretsOptions;
  readonly #timers = new Map<TunnelId, NodeJS.Timeout>();
  readonly #unsubscribe: () => void;
  #closed = false;
  #isWatching = false;
  /** The store changed again meanwhile. */
  #again = false;

  /** Follows the store until `close`. */
  constructor(options: OldSecretsOptions) {
    this.#options = options;
    this.#unsubscribe = options.store.changes.subscribe(change => {
      if (change.kind === 'secret-rotated') void this.watch(change.tunnelId);
      else if (change.kind === 'reset') void this.#watchAll();
    });
  }

  /** Another edge on this store may have replaced the secret of any tunnel. */
  async #watchAll(): Promise<void> {
    this.#again = this.#isWatching;
    if (this.#isWatching) return;
    this.#isWatching = true;
    for (const tunnelId of this.#options.registry.tunnels()) await this.watch(tunnelId);
    this.#isWatching = false;
    if (this.#again && !this.#closed) void this.#watchAll();
  }

  /** Looks whether the tunnel has an old secret, and cuts what uses it once that is over. Never rejects. */
  async watch(tunnelId: TunnelId): Promise<void> {
    const { logger, now = Date.now, registry, store } = this.#options;
    clearTimeout(this.#timers.get(tunnelId));
    this.#timers.delete(tunnelId);
    try {
      const found = await store.tunnels.secret(tunnelId);
      if (found?.old === undefined || this.#closed) return;
      const leftMs = found.old.untilMs - now();
      if (leftMs > 0) {
        this.#wait(tunnelId, leftMs);
        return;
      }
      const { hash } = found.secret;
      const cut = registry.connectionsOf(tunnelId).filter(one => !matchesSecret(one.secret, hash));
      for (const { clientId, connIndex } of cut) registry.disconnect(tunnelId, clientId, connIndex);
      if (cut.length > 0)
        logger.info({ tunnelID: tunnelId, connections: cut.length }, 'Connections with an old token were closed');
    } catch (error) {
      logger.warn(errorFields(error), 'Cannot read the secret of a tunnel; it is tried again');
      this.#wait(tunnelId, retryMs);
    }
  }

  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  #wait(tunnelId: TunnelId, ms: number): void {
    if (this.#closed) return;
    const timer = setTimeout(() => void this.watch(tunnelId), Math.min(ms, longestWaitMs)).unref();
    clearTimeout(this.#timers.get(tunnelId));
    this.#timers.set(tunnelId, timer);
  }
}
