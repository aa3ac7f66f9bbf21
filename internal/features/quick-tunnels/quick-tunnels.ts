// The quick-tunnel service: gives out names, limits who gets how many, and deletes a tunnel with its routes five minutes
// after its last connection went away. Source: spec cli-and-api §10; issue "the tunnel, end to end" point 7.

import { randomBytes } from 'node:crypto';
import type { LiveConnections } from '../../carriers/live-connections.ts';
import { describeError, isPosternError, PosternError } from '../../errors/error.ts';
import { createRateLimiter } from '../../net/limits/rate-limiter.ts';
import { createTunnelId, type TunnelId } from '../../schema/api-id.ts';
import type { Store } from '../../store/contract/store.ts';
import type { SecretBox } from '../../store/secret-box.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { createQuickName } from './quick-name.ts';

/** A quick tunnel just made; whoever asked gets all of it. */
export interface MadeQuickTunnel {
  readonly tunnelId: TunnelId;
  readonly accountTag: string;
  /** `calm-otter-lamp-42`. */
  readonly name: string;
  /** Name and zone. */
  readonly hostname: string;
  /** Where visitors go. */
  readonly url: string;
  readonly secret: Uint8Array;
}

export interface QuickTunnels extends Disposable {
  /** A new tunnel for a client, counted by its address. Throws `api.rate-limited`. */
  create(clientAddress: string): Promise<MadeQuickTunnel>;
  /** Deletes what has been abandoned for five minutes; the timer does this by itself. Resolves to how many. */
  sweep(): Promise<number>;
  close(): void;
}

export interface QuickTunnelOptions {
  readonly store: Store;
  readonly secrets: SecretBox;
  readonly live: LiveConnections;
  /** Account that owns them. */
  readonly accountTag: string;
  /** Zone whose subdomains are given out. */
  readonly domain: string;
  /** Public URL of a host name, with the port visitors use. */
  readonly urlOf: (hostname: string) => string;
  readonly logger: Logger;
  readonly now?: () => number;
}

/** How long a tunnel without connections stays. */
export const abandonedAfterMs = 5 * 60_000;
/** A thirtieth of that: a tunnel goes at most this much late. */
const sweepIntervalMs = 10_000;
/** Requests: a person trying things needs a few a minute. */
const requestLimits = { burst: 10, perSecond: 1 / 30 };
/** Tunnels one address may have at once: a whole team behind one address. */
export const maxPerAddress = 20;
/** Tunnels there may be at once: a sweep looks at each. */
const maxTunnels = 10_000;
/** Names tried; with 10,000 tunnels among some 2.4 billion names a second try is already rare. */
const maxAttempts = 10;

/**
 * Starts the service. Tunnels found in the store count as connected until now: after a restart their connectors get the
 * same five minutes to come back.
 */
export async function startQuickTunnels(options: QuickTunnelOptions): Promise<QuickTunnels> {
  const { store, secrets, live, accountTag, domain, logger } = options;
  const now = options.now ?? Date.now;
  const limiter = createRateLimiter({ ...requestLimits, now });
  const known = new Map<TunnelId, { readonly clientAddress: string; lastSeenMs: number }>();
  const load = async (): Promise<void> => {
    for (const { tunnelId, clientAddress } of await store.quickTunnels.list()) {
      if (!known.has(tunnelId)) known.set(tunnelId, { clientAddress, lastSeenMs: now() });
    }
  };
  await load();
  // Another edge on the same store, one that is being replaced, may give out names too.
  let mayHaveMore = false;
  const unsubscribe = store.changes.subscribe(change => {
    if (change.kind === 'reset') mayHaveMore = true;
  });

  const insert = async (tunnelId: TunnelId, clientAddress: string): Promise<MadeQuickTunnel> => {
    const secret = randomBytes(32);
    const createdAtMs = now();
    for (let attempt = 1; ; attempt += 1) {
      const name = createQuickName();
      const hostname = `${name}.${domain}`;
      try {
        await store.quickTunnels.create(
          { id: tunnelId, accountTag, name, secret: secrets.seal(tunnelId, secret), createdAtMs },
          { tunnelId, hostname, clientAddress, createdAtMs },
        );
        return { tunnelId, accountTag, name, hostname, url: options.urlOf(hostname), secret };
      } catch (error) {
        if (!isPosternError(error, 'store.conflict') || attempt === maxAttempts) throw error;
      }
    }
  };

  const create = async (clientAddress: string): Promise<MadeQuickTunnel> => {
    const limited = (why: string): PosternError => new PosternError('api.rate-limited', why);
    if (!limiter.take(clientAddress)) throw limited('You asked for too many quick tunnels: wait a minute');
    const mine = [...known.values()].filter(item => item.clientAddress === clientAddress).length;
    if (mine >= maxPerAddress) throw limited(`Your address has ${mine} quick tunnels already: close some`);
    if (known.size >= maxTunnels) throw limited('This edge has as many quick tunnels as it takes: try again later');
    const tunnelId = createTunnelId();
    // Counted before it is made, so that requests at the same moment cannot pass the limits together.
    known.set(tunnelId, { clientAddress, lastSeenMs: now() });
    try {
      const made = await insert(tunnelId, clientAddress);
      logger.info({ hostname: made.hostname, tunnelID: tunnelId }, 'Quick tunnel made');
      return made;
    } catch (error) {
      known.delete(tunnelId);
      throw error;
    }
  };

  const sweep = async (): Promise<number> => {
    let deleted = 0;
    if (mayHaveMore) {
      mayHaveMore = false;
      await load();
    }
    for (const [tunnelId, tunnel] of known) {
      if (live.list(tunnelId).length > 0) {
        tunnel.lastSeenMs = now();
      } else if (now() - tunnel.lastSeenMs >= abandonedAfterMs) {
        await store.quickTunnels.remove(tunnelId);
        known.delete(tunnelId);
        // A connection may have come while the store was at work: its tunnel is gone, so it ends too.
        live.disconnect(tunnelId);
        deleted += 1;
        logger.info({ tunnelID: tunnelId }, 'Quick tunnel deleted: it had no connection for five minutes');
      }
    }
    return deleted;
  };

  const timer = setInterval(() => {
    sweep().catch((error: unknown) =>
      logger.warn({ error: describeError(error) }, 'Deleting abandoned quick tunnels failed; it is tried again'),
    );
  }, sweepIntervalMs);
  timer.unref();
  const close = (): void => {
    clearInterval(timer);
    unsubscribe();
  };
  return { create, sweep, close, [Symbol.dispose]: close };
}
