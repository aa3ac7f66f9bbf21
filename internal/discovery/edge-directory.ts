// The edge addresses of one connector over its lifetime: looked up at first use, again every hour, and again when dialling
// fails, so that a moved edge is found without a restart. Source: docs/protocol/edge-protocol.md §2; the refresh is ours.

import { PosternError } from '../errors/error.ts';
import type { Logger } from '../telemetry/logger.ts';
import { AddressPool, type EdgeIpVersion, type UnevenUse } from './address-pool.ts';
import type { EdgeAddress, EdgeRegions } from './edge-address.ts';

export interface EdgeDirectoryOptions {
  /** One look-up: discovery or the static list. Rejects with 'discovery.failed'. */
  readonly find: () => Promise<EdgeRegions>;
  readonly version: EdgeIpVersion;
  /** See AddressPoolOptions. */
  readonly share: boolean;
  readonly random: () => number;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** Records live for minutes to hours; a new edge is expected to wait no longer than this for its first connector. */
const refreshMs = 60 * 60_000;
/** Failing dials of four connections ask for at most this many look-ups. */
const minRefreshGapMs = 30_000;

/** One for a connector; `close` it with the connector. */
export class EdgeDirectory {
  readonly #options: EdgeDirectoryOptions;
  readonly #timer: NodeJS.Timeout;
  #pool: AddressPool | undefined;
  #running: Promise<void> | undefined;
  #lastLookUpMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** Starts the hourly timer, which does not keep the process alive; `close` stops it. */
  constructor(options: EdgeDirectoryOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.refresh(0), refreshMs);
    this.#timer.unref();
  }

  /** How many connections can have addresses; undefined before the first look-up. */
  get capacity(): number | undefined {
    return this.#pool?.capacity;
  }

  /**
   * The address that `connIndex` should dial. `rotate` gives the present one back as failing first. Rejects with
   * 'discovery.failed' when the look-up fails or every address is taken.
   */
  async acquire(connIndex: number, rotate: boolean): Promise<EdgeAddress> {
    if (this.#pool === undefined) await this.#lookUp();
    const pool = this.#pool;
    const address = rotate ? pool?.rotate(connIndex) : pool?.get(connIndex);
    if (address === undefined) {
      this.refresh(minRefreshGapMs);
      throw new PosternError('discovery.failed', 'There are no free edge addresses left to resolve to', {
        details: { connIndex },
      });
    }
    return address;
  }

  /** See AddressPool.uneven. */
  get uneven(): UnevenUse | undefined {
    return this.#pool?.uneven;
  }

  /** The connection has moved: `address` is its own now. */
  assign(connIndex: number, address: EdgeAddress): void {
    this.#pool?.assign(connIndex, address);
  }

  /** The connection needs its address no more. */
  release(connIndex: number): void {
    this.#pool?.giveBack(connIndex, false);
  }

  /** Looks up again in the background unless that was done less than `minGapMs` ago; a failure keeps the present table. */
  refresh(minGapMs: number = minRefreshGapMs): void {
    if (this.#closed || this.#pool === undefined || this.#options.nowMs() - this.#lastLookUpMs < minGapMs) return;
    this.#lookUp().catch((error: unknown) => {
      this.#options.logger.warn(
        { error: String(error) },
        'Could not look up edge addresses again, keeping the known ones',
      );
    });
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  /** Look-ups of several connections at once are one. */
  #lookUp(): Promise<void> {
    this.#running ??= this.#find().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #find(): Promise<void> {
    const { find, version, share, random, nowMs } = this.#options;
    this.#lastLookUpMs = nowMs();
    const regions = await find();
    if (this.#pool === undefined) this.#pool = new AddressPool(regions, { version, share, random, nowMs });
    else this.#pool.replace(regions);
  }
}
