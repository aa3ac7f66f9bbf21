// The quick-tunnel service: gives out names, limits who gets how many, and deletes a tunnel with its routes five minutes
// after its last connection went away. Source: docs/protocol/commands-and-api.md §10.

import { randomBytes } from 'node:crypto';
import type { LiveConnections } from '../../carriers/live-connections.ts';
import { describeError, isPosternError, PosternError } from '../../errors/error.ts';
import { PlaceLimiter } from '../../net/limits/address-limiter.ts';
import { countedNetwork, createRateLimiter } from '../../net/limits/rate-limiter.ts';
import { createTunnelId, type TunnelId } from '../../schema/api/id.ts';
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
  /** Wall clock, for what is stored. */
  readonly now?: () => number;
  /** Clock for waits and limits; it must not jump. */
  readonly elapsedMs?: () => number;
}

/** How long a tunnel without connections stays. */
export const abandonedAfterMs = 5 * 60_000;
/** A thirtieth of that: a tunnel goes at most this much late. */
const sweepIntervalMs = 10_000;
/** Requests: a person trying things needs a few a minute. */
export const requestLimits = { burst: 10, perSecond: 1 / 30 };
/** Requests of a network: of ten such persons. */
export const networkRequestLimits = { burst: 100, perSecond: 1 / 3 };
/** Tunnels one address may have at once: a whole team behind one address. */
export const maxPerAddress = 20;
/** Tunnels one network may have at once, ten such addresses: a host of many addresses finds the same end. */
export const maxPerNetwork = 200;
/** Tunnels there may be at once: a sweep looks at each. */
export const maxTunnels = 10_000;
/** Tunnels deleted in one step: some milliseconds, between which other calls of the store get their turn. */
const deletedAtOnce = 50;
/** Names tried; with 10,000 tunnels among some 2.4 billion names a second try is already rare. */
const maxAttempts = 10;

interface KnownTunnel {
  /** Gives its place among those of its address back; undefined for one beyond the limits. */
  readonly release: (() => void) | undefined;
  lastSeenMs: number;
}

/**
 * Starts the service. Tunnels found in the store count as connected until now: after a restart their connectors get the
 * same five minutes to come back.
 */
export async function startQuickTunnels(options: QuickTunnelOptions): Promise<QuickTunnels> {
  const { store, secrets, live, accountTag, domain, logger } = options;
  const now = options.now ?? Date.now;
  const elapsedMs = options.elapsedMs ?? (() => performance.now());
  const requests = createRateLimiter({ ...requestLimits, now: elapsedMs });
  const networkRequests = createRateLimiter({ ...networkRequestLimits, now: elapsedMs });
  const addresses = new PlaceLimiter({ total: maxTunnels, perAddress: maxPerAddress });
  const networks = new PlaceLimiter({ total: maxTunnels, perAddress: maxPerNetwork });
  const known = new Map<TunnelId, KnownTunnel>();
  /** Counts a tunnel of the address; undefined when that would be one too many of it or of its network. */
  const admit = (clientAddress: string): (() => void) | undefined => {
    const fromAddress = addresses.admit(clientAddress);
    const fromNetwork = fromAddress && networks.admit(countedNetwork(clientAddress));
    if (fromNetwork === undefined) fromAddress?.();
    return (
      fromNetwork &&
      (() => {
        fromAddress?.();
        fromNetwork();
      })
    );
  };
  const load = async (): Promise<void> => {
    for (const { tunnelId, clientAddress } of await store.quickTunnels.list()) {
      // What is there already stays, also beyond the limits of now.
      if (!known.has(tunnelId)) known.set(tunnelId, { release: admit(clientAddress), lastSeenMs: elapsedMs() });
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
    if (!requests.take(clientAddress)) throw limited('You asked for too many quick tunnels: wait a minute');
    if (!networkRequests.take(countedNetwork(clientAddress)))
      throw limited('Your network asked for too many quick tunnels: wait a minute');
    if (known.size >= maxTunnels) throw limited('This edge has as many quick tunnels as it takes: try again later');
    const release = admit(clientAddress);
    if (release === undefined) {
      throw limited(
        `Your address has ${maxPerAddress} quick tunnels already, or your network ${maxPerNetwork}: close some`,
      );
    }
    const tunnelId = createTunnelId();
    // Counted before it is made, so that requests at the same moment cannot pass the limits together.
    known.set(tunnelId, { release, lastSeenMs: elapsedMs() });
    try {
      const made = await insert(tunnelId, clientAddress);
      logger.info({ hostname: made.hostname, tunnelID: tunnelId }, 'Quick tunnel made');
      return made;
    } catch (error) {
      forget(tunnelId);
      throw error;
    }
  };

  const forget = (tunnelId: TunnelId): void => {
    known.get(tunnelId)?.release?.();
    known.delete(tunnelId);
  };

  /** Those without a connection, at this edge or another, for five minutes; at most as many as go at once. */
  const abandoned = async (): Promise<readonly TunnelId[]> => {
    const connected = await live.tunnels();
    const found: TunnelId[] = [];
    for (const [tunnelId, tunnel] of known) {
      if (connected.has(tunnelId)) tunnel.lastSeenMs = elapsedMs();
      else if (found.length < deletedAtOnce && elapsedMs() - tunnel.lastSeenMs >= abandonedAfterMs)
        found.push(tunnelId);
    }
    return found;
  };

  const sweep = async (): Promise<number> => {
    let deleted = 0;
    if (mayHaveMore) {
      mayHaveMore = false;
      await load();
    }
    for (let ids = await abandoned(); ids.length > 0 && !closed; ids = await abandoned()) {
      await store.quickTunnels.remove(ids);
      for (const tunnelId of ids) {
        forget(tunnelId);
        // A connection may have come while the store was at work: its tunnel is gone, so it ends too.
        live.disconnect(tunnelId);
        logger.debug({ tunnelID: tunnelId }, 'Quick tunnel deleted: it had no connection for five minutes');
      }
      deleted += ids.length;
    }
    if (deleted > 0) logger.info({ count: deleted }, 'Quick tunnels deleted that had no connection for five minutes');
    return deleted;
  };

  let closed = false;
  let sweeping = false;
  const timer = setInterval(() => {
    if (sweeping) return;
    sweeping = true;
    sweep()
      .catch((error: unknown) =>
        logger.warn({ error: describeError(error) }, 'Deleting abandoned quick tunnels failed; it is tried again'),
      )
      .finally(() => {
        sweeping = false;
      });
  }, sweepIntervalMs);
  timer.unref();
  const close = (): void => {
    closed = true;
    clearInterval(timer);
    unsubscribe();
  };
  return { create, sweep, close, [Symbol.dispose]: close };
}
