// What Cloudflare's network currently wants of this account, from its TXT records: looked up at the start and every hour,
// an old value outliving a failed look-up. Source: docs/protocol/edge-protocol.md §3.2, §3.3.

import type { Dns } from '../../discovery/dns.ts';
import { lookUpFeatures, lookUpProtocol, type RolloutProtocol } from '../../discovery/rollout.ts';
import { describeError } from '../../errors/error.ts';
import type { Clock } from '../../net/time/clock.ts';
import type { Logger } from '../../telemetry/logger.ts';

export interface RolloutWatchOptions {
  readonly dns: Dns;
  readonly accountTag: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const refreshMs = 60 * 60_000;
/** How long the first dial waits for the records; cloudflared allows 10 s, but nobody should wait so long for a hint. */
const firstWaitMs = 3_000;

export class RolloutWatch {
  readonly #options: RolloutWatchOptions;
  #protocol: RolloutProtocol | undefined;
  #datagramV3 = false;
  #skipPrechecks = false;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(options: RolloutWatchOptions) {
    this.#options = options;
  }

  /** The protocol of this account; undefined while unknown. */
  get protocol(): RolloutProtocol | undefined {
    return this.#protocol;
  }

  /** Whether this account is selected for datagrams v3. */
  get datagramV3(): boolean {
    return this.#datagramV3;
  }

  /** Whether this account asks connectors to leave out the checks at their start. */
  get skipPrechecks(): boolean {
    return this.#skipPrechecks;
  }

  /** Settles once the records are known, their look-up has failed, or 3 s have passed. Never rejects. */
  async start(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(firstWaitMs, resolve);
    await Promise.race([this.#refresh(), promise]);
    cancel();
  }

  /** Looks nothing up any more. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  async #refresh(): Promise<void> {
    const { accountTag, clock, dns, logger } = this.#options;
    const [protocol, features] = await Promise.allSettled([
      lookUpProtocol(dns, accountTag),
      lookUpFeatures(dns, accountTag),
    ]);
    if (this.#closed) return;
    if (protocol.status === 'fulfilled') this.#protocol = protocol.value;
    if (features.status === 'fulfilled') {
      this.#datagramV3 = features.value.datagramV3;
      this.#skipPrechecks = features.value.skipPrechecks;
    }
    for (const looked of [protocol, features])
      if (looked.status === 'rejected')
        logger.debug({ error: describeError(looked.reason) }, 'Unable to look up a rollout record');
    this.#cancel = clock.after(refreshMs, () => void this.#refresh());
  }
}
