// Asks the authority now and then when it wants each certificate renewed: earlier, as before it revokes one, or later. Source: RFC
// 9773 §4.3.

import { describeError } from '../../errors/error.ts';
import type { CertificateRecord } from '../../store/contract/records.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { AcmeClient } from './acme-client.ts';
import { momentWithin, readRenewalWindow } from './renewal-time.ts';

export interface RenewalLooksOptions {
  /** Runs `work` with a client of the authority. */
  readonly withClient: <T>(work: (client: AcmeClient) => Promise<T>) => Promise<T>;
  readonly now: () => number;
  readonly random: () => number;
  readonly logger: Logger;
}

/** After a look that failed, or where the authority has no such service. */
const failedLookMs = 3_600_000;
const noServiceLookMs = 24 * 3_600_000;

export class RenewalLooks {
  readonly #options: RenewalLooksOptions;
  /** By name; `window` is what was said last. */
  readonly #looks = new Map<string, { readonly chain: string; readonly atMs: number; readonly window: string }>();

  constructor(options: RenewalLooksOptions) {
    this.#options = options;
  }

  /** When to renew instead of the time in the record; undefined when that stays. Never rejects. */
  async look({ name, issued, nextAtMs, failures }: CertificateRecord): Promise<number | undefined> {
    const { logger, now, random, withClient } = this.#options;
    if (issued === undefined || failures > 0 || nextAtMs <= now()) return undefined;
    const { chain } = issued;
    const known = this.#looks.get(name);
    const last = known?.chain === chain ? known : undefined;
    if (last !== undefined && last.atMs > now()) return undefined;
    try {
      const window = await withClient(client => readRenewalWindow(client, chain));
      const text = window === undefined ? '' : `${window.startMs}-${window.endMs}`;
      this.#looks.set(name, { chain, atMs: now() + (window?.lookAgainMs ?? noServiceLookMs), window: text });
      // Chosen once for a window: who chose again at each look would always move.
      if (window === undefined || last?.window === text) return undefined;
      return Math.max(momentWithin(window, random), now());
    } catch (error) {
      this.#looks.set(name, { chain, atMs: now() + failedLookMs, window: last?.window ?? '' });
      logger.debug({ name, error: describeError(error) }, 'The authority says nothing about the renewal');
      return undefined;
    }
  }

  forget(name: string): void {
    this.#looks.delete(name);
  }
}
