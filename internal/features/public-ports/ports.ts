// The public ports that the store has, listened on: opened and closed as routes come and go, tried again where a port is
// not free (another edge on the same state may be about to end), and never outside the ranges that the operator allows.

import { describeError } from '../../errors/error.ts';
import type { PublicPortRecord } from '../../store/contract/records.ts';
import type { OpenPort, PortParts } from './open-port.ts';
import { isInRanges, type PortRange } from './port-range.ts';
import { readSettings } from './port-settings.ts';
import { openTcpPort } from './tcp-port.ts';
import { openUdpPort } from './udp-port.ts';

/** First and longest wait before a port that is not free is tried again; each is twice the one before. */
const retryMs = { first: 500, longest: 30_000 };

interface Held {
  readonly route: PublicPortRecord;
  /** Settles with the first try. */
  readonly tried: Promise<void>;
  open: OpenPort | undefined;
  failure: string | undefined;
  timer: NodeJS.Timeout | undefined;
  isGone: boolean;
}

export interface PortsOptions extends PortParts {
  readonly ranges: readonly PortRange[];
}

export class PublicPorts {
  readonly #options: PortsOptions;
  /** By id. */
  readonly #held = new Map<string, Held>();
  /** Of ports that are being closed, by protocol and port: a route may take the port over. */
  readonly #closing = new Map<string, Promise<void>>();
  #isDraining = false;

  constructor(options: PortsOptions) {
    this.#options = options;
  }

  /** Makes it these and no others. */
  replace(routes: readonly PublicPortRecord[]): void {
    const wanted = new Map(routes.map(route => [route.id, route]));
    for (const { route } of [...this.#held.values()]) if (!wanted.has(route.id)) this.remove(route);
    for (const route of routes) this.add(route);
  }

  /** Idempotent. */
  add(route: PublicPortRecord): void {
    if (this.#held.has(route.id) || this.#isDraining) return;
    const held: Held = {
      ...{ route, open: undefined, failure: undefined, timer: undefined, isGone: false },
      tried: Promise.resolve().then(() => this.#listen(held, retryMs.first)),
    };
    this.#held.set(route.id, held);
  }

  /** Cuts whoever uses it. Idempotent. */
  remove({ id }: Pick<PublicPortRecord, 'id'>): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    void this.#end(held);
  }

  /** Settles with the first try to listen; with nothing where the port is not known. */
  async tried(id: string): Promise<void> {
    await this.#held.get(id)?.tried;
  }

  /** `listening`, or why not. */
  statusOf(id: string): string {
    const held = this.#held.get(id);
    if (held === undefined) return 'this edge has not heard of it yet';
    if (held.open !== undefined) return 'listening';
    return held.failure ?? 'starting';
  }

  /** How many are listened on, and how many are not. */
  count(): { readonly listening: number; readonly failed: number } {
    const all = [...this.#held.values()];
    const listening = all.filter(({ open }) => open !== undefined).length;
    return { listening, failed: all.length - listening };
  }

  /** Takes nobody new on any port. */
  stop(): void {
    this.#isDraining = true;
    for (const { open, timer } of this.#held.values()) {
      clearTimeout(timer);
      open?.stop();
    }
  }

  /** Cuts everybody and gives the ports back. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all([...this.#held.values()].map(held => this.#end(held)));
    await Promise.all(this.#closing.values());
    this.#held.clear();
  }

  /** Never rejects. */
  async #listen(held: Held, nextWaitMs: number): Promise<void> {
    const { route } = held;
    const { ranges, logger } = this.#options;
    if (!isInRanges(ranges, route.port)) {
      held.failure = 'outside the ranges of --public-ports';
      logger.warn(
        { port: route.port, protocol: route.protocol },
        'A public port is outside the ranges of --public-ports',
      );
      return;
    }
    await this.#closing.get(keyOf(route));
    if (held.isGone || this.#isDraining) return;
    try {
      const open = await (route.protocol === 'tcp' ? openTcpPort : openUdpPort)(
        this.#options,
        route,
        readSettings(route),
      );
      if (held.isGone || this.#isDraining) {
        await open.close();
        return;
      }
      held.open = open;
      held.failure = undefined;
      logger.info(
        { port: route.port, protocol: route.protocol, tunnelID: route.tunnelId },
        'Listening on a public port',
      );
    } catch (error) {
      const failure = describeError(error);
      if (held.failure !== failure)
        logger.warn(
          { port: route.port, protocol: route.protocol, error: failure },
          'Cannot listen on a public port yet',
        );
      held.failure = failure;
      if (held.isGone || this.#isDraining) return;
      const waitMs = Math.min(nextWaitMs * 2, retryMs.longest);
      held.timer = setTimeout(() => void this.#listen(held, waitMs), nextWaitMs).unref();
    }
  }

  async #end(held: Held): Promise<void> {
    held.isGone = true;
    clearTimeout(held.timer);
    const { open } = held;
    held.open = undefined;
    if (open === undefined) return;
    const key = keyOf(held.route);
    const closing = open.close().finally(() => {
      if (this.#closing.get(key) === closing) this.#closing.delete(key);
    });
    this.#closing.set(key, closing);
    await closing;
  }
}

function keyOf({ protocol, port }: PublicPortRecord): string {
  return `${protocol} ${port}`;
}
