// Hears the notifications of a database, on a connection of its own that is made again whenever it breaks. Whether they
// arrive is tried out: transaction pooling of PgBouncer takes LISTEN and delivers nothing.

import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { PostgresServer } from './server.ts';

/** The first wait after a connection broke, doubled up to the last. */
const firstRetryMs = 250;
const lastRetryMs = 5_000;

export interface ListenerParts {
  readonly server: PostgresServer;
  readonly channel: string;
  /** Somebody notified. Must not throw. */
  readonly onNotification: () => void;
  /** It listens, for the first time or again: what was notified before was missed. Must not throw. */
  readonly onListening: (again: boolean) => void;
  /** Sends a payload to the channel, over the way that edges use for it. */
  readonly notify: (payload: string) => Promise<void>;
}

export class Listener {
  readonly #parts: ListenerParts;
  readonly #trial = `trial ${randomUUID()}`;
  #client: Client | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  #hears = false;
  #closed = false;
  #before = false;

  /** Begins to connect. */
  constructor(parts: ListenerParts) {
    this.#parts = parts;
    void this.#connect();
  }

  /** Whether notifications are known to arrive. */
  get hears(): boolean {
    return this.#hears;
  }

  /** Looks whether the connection still carries: one that is half open says nothing. */
  check(): void {
    this.#client?.query('SELECT 1').catch(() => this.#lost(this.#client));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  async #connect(): Promise<void> {
    const { server, channel, onListening, onNotification, notify } = this.#parts;
    const client = new Client(server.config);
    this.#client = client;
    client.on('error', () => this.#lost(client));
    client.on('end', () => this.#lost(client));
    client.on('notification', ({ payload }) => {
      if (payload === this.#trial) this.#hears = true;
      // Trials of other edges are no news.
      else if (payload?.startsWith('trial ') !== true) onNotification();
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${channel}`);
      if (client !== this.#client) return;
      this.#retryMs = firstRetryMs;
      onListening(this.#before);
      this.#before = true;
      await notify(this.#trial);
    } catch {
      this.#lost(client);
    }
  }

  #lost(client: Client | undefined): void {
    if (client === undefined || client !== this.#client || this.#closed) return;
    this.#client = undefined;
    this.#hears = false;
    void client.end().catch(() => undefined);
    this.#retry = setTimeout(() => void this.#connect(), this.#retryMs);
    this.#retry.unref();
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
  }
}
