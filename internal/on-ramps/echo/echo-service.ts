// Echo requests for callers of the API: keeps the series of a running ping between its calls, bounded in number and time.

import { PosternError } from '../../errors/error.ts';
import type { IpBytes } from '../../net/address/ip.ts';
import type { EchoResult, EchoSession, Probe } from '../../private-network/echo-session.ts';
import type { FlowEndReason } from '../../private-network/flows/flow.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import { formatPrivateHost, type PrivateHost } from '../../private-network/routes/private-host.ts';
import type { NetworkRecord } from '../../store/contract/records.ts';

export interface EchoRequest extends Probe {
  readonly network: NetworkRecord;
  readonly host: PrivateHost;
  /** UUID of the series. */
  readonly session: string;
  /** Of the caller, for the flow's record and limits. */
  readonly sourceAddress: string;
}

/** Series at once, of all accounts and of one: far more people than ping at a time, and nobody can take every place. */
export const limits = { total: 1_024, perAccount: 256 } as const;
/** A ping asks every second; one that asks less often than this begins a new series unharmed. */
const idleMs = 30_000;

/** What came of one echo request, and the address that it went to. */
export interface EchoOutcome {
  readonly address: IpBytes;
  readonly result: EchoResult;
}

/** Counts only rise. */
export interface EchoCounters {
  /** Series begun. */
  series: number;
  /** Requests by what came of them. */
  readonly results: Record<EchoResult['kind'], number>;
}

interface Entry {
  readonly accountTag: string;
  readonly opening: Promise<EchoSession>;
  session: EchoSession | undefined;
  readonly timer: NodeJS.Timeout;
}

export class EchoService {
  readonly counters: EchoCounters = {
    series: 0,
    results: { reply: 0, 'time-exceeded': 0, timeout: 0, unsent: 0, unreachable: 0 },
  };
  readonly #network: PrivateNetwork;
  readonly #entries = new Map<string, Entry>();

  constructor(network: PrivateNetwork) {
    this.#network = network;
  }

  /** A live network of the account by id, its default one without. */
  networkOf(accountTag: string, id: string | undefined): NetworkRecord | undefined {
    const { routes } = this.#network;
    if (id === undefined) return routes.networkOf(accountTag);
    const network = routes.network(id);
    return network?.accountTag === accountTag ? network : undefined;
  }

  /** Series in progress. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Sends one echo request. Throws 'flow.denied', 'flow.limit', 'origin.unreachable' for a name without address, and
   * 'usage.invalid' for a sequence that still waits.
   */
  async probe(request: EchoRequest): Promise<EchoOutcome> {
    const { network, host, session, ttl, sequence, data, timeoutMs } = request;
    // A series belongs to who began it and to one destination; a foreign UUID opens nothing.
    const key = [network.accountTag, network.id, formatPrivateHost(host), session].join(' ');
    let entry = this.#entries.get(key);
    if (entry?.session?.closed === true) {
      this.#forget(key, entry);
      entry = undefined;
    }
    entry ??= this.#begin(key, request);
    entry.timer.refresh();
    const opened = await entry.opening;
    const result = await opened.probe({ ttl, sequence, data, timeoutMs });
    this.counters.results[result.kind] += 1;
    return { address: opened.destination, result };
  }

  /** Ends every series. */
  close(): void {
    for (const [key, entry] of this.#entries) this.#end(key, entry, 'edge-stopped');
  }

  #begin(key: string, { network, host, sourceAddress }: EchoRequest): Entry {
    const { accountTag } = network;
    let own = 0;
    for (const entry of this.#entries.values()) if (entry.accountTag === accountTag) own += 1;
    const full = this.#entries.size >= limits.total ? limits.total : own >= limits.perAccount ? limits.perAccount : 0;
    if (full > 0) throw new PosternError('flow.limit', `There are already ${full} series of echo requests`);
    const visitor = { onRamp: 'echo', network, sourceAddress, sourcePort: 0 } as const;
    const entry: Entry = {
      accountTag,
      opening: this.#network.openEcho(visitor, host),
      session: undefined,
      timer: setTimeout(() => this.#end(key, entry, 'idle'), idleMs),
    };
    this.#entries.set(key, entry);
    entry.opening.then(
      session => {
        entry.session = session;
        this.counters.series += 1;
        // Ended while its name was being resolved.
        if (this.#entries.get(key) !== entry) session.close('closed');
      },
      // Whoever asks is told; the next one tries again.
      () => this.#forget(key, entry),
    );
    return entry;
  }

  #end(key: string, entry: Entry, reason: FlowEndReason): void {
    this.#forget(key, entry);
    entry.session?.close(reason);
  }

  #forget(key: string, entry: Entry): void {
    clearTimeout(entry.timer);
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}
