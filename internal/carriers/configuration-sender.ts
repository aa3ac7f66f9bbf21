// Sends the configurations of a tunnel down one connection: one at a time, the newest only, and once more when the way there
// failed. What the connector answered last is kept. Source: docs/protocol/edge-protocol.md §9.4, §10.9.
//
//   offer ──▶ waits for start ──▶ sent ──answer──▶ told, or the newer one sent
//                                  ▲─ failed: again after a while ─┘

import { describeError } from '../errors/error.ts';
import type { ConfigurationRecord } from '../store/contract/records.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EdgeConnection } from '../transport/transport.ts';
import type { ConfigurationAnswer } from '../wire/stream/configuration-request.ts';

/** A connector serves such a call for 5 s (docs/protocol/edge-protocol.md §7.4); twice that covers a slow link. */
export const pushTimeoutMs = 10_000;
/** When a push that failed is tried again; the wait doubles up to the longest. */
const retryMs = 5_000;
const maxRetryMs = 60_000;
/** What is kept of a connector's words: enough for a rule and what is wrong with it. */
const maxErrorLength = 500;

export class ConfigurationSender {
  readonly #connection: EdgeConnection;
  readonly #logger: Logger;
  readonly #firstRetryMs: number;
  #newest: ConfigurationRecord | undefined;
  #offered = 0;
  #answer: ConfigurationAnswer | undefined;
  #started = false;
  #sending = false;
  #ended = false;
  #retryMs: number;
  #retry: NodeJS.Timeout | undefined;

  /** `logger` names the connection in each line. It ends with the connection. */
  constructor(connection: EdgeConnection, logger: Logger, firstRetryMs = retryMs) {
    this.#connection = connection;
    this.#logger = logger;
    this.#firstRetryMs = firstRetryMs;
    this.#retryMs = firstRetryMs;
    void connection.closed.then(() => {
      this.#ended = true;
      this.#newest = undefined;
      clearTimeout(this.#retry);
    });
  }

  /** The newest version that was offered; 0 = none. */
  get offered(): number {
    return this.#offered;
  }

  /** What the connector said of the last configuration that it was sent; undefined before it said anything. */
  get answer(): ConfigurationAnswer | undefined {
    return this.#answer;
  }

  /** Sends `configuration` if it is newer than all before, now or once started. */
  offer(configuration: ConfigurationRecord): void {
    if (configuration.version <= this.#offered || this.#ended) return;
    this.#offered = configuration.version;
    this.#newest = configuration;
    this.#send();
  }

  /** The connector has been told that it is registered: it applies configurations from now on. */
  start(): void {
    this.#started = true;
    this.#send();
  }

  #send(): void {
    if (!this.#started || this.#sending || this.#newest === undefined) return;
    clearTimeout(this.#retry);
    this.#sending = true;
    void this.#sendAll().finally(() => {
      this.#sending = false;
    });
  }

  /** Never rejects. */
  async #sendAll(): Promise<void> {
    for (let sent = this.#newest; sent !== undefined; sent = this.#newest) {
      const { version, config } = sent;
      try {
        const answer = await this.#connection.configure({ version, json: config }, pushTimeoutMs);
        this.#tell(version, { ...answer, error: answer.error?.slice(0, maxErrorLength) });
      } catch (error) {
        this.#logger.warn({ version, error: describeError(error) }, 'The configuration could not be pushed');
        this.#sendLater();
        return;
      }
      this.#retryMs = this.#firstRetryMs;
      if (this.#newest === sent) this.#newest = undefined;
    }
  }

  #tell(version: number, answer: ConfigurationAnswer): void {
    this.#answer = answer;
    const fields = { version, active: answer.version };
    if (answer.error === undefined) this.#logger.info(fields, 'Configuration pushed');
    else this.#logger.warn({ ...fields, error: answer.error }, 'The connector refused the configuration');
  }

  #sendLater(): void {
    if (this.#ended) return;
    this.#retry = setTimeout(() => this.#send(), this.#retryMs);
    this.#retry.unref();
    this.#retryMs = Math.min(2 * this.#retryMs, maxRetryMs);
  }
}
