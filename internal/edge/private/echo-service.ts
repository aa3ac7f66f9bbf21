// Echo requests for callers of the API: keeps the series of a running ping between its calls, bounded in number and time.
// Source: issue "private networks" point 5 (ping and traceroute).

import { PosternError } from '../../errors/error.ts';
import type { NetworkRecord } from '../store/records.ts';
import type { EchoResult, EchoSession, Probe } from './echo-session.ts';
import { formatPrivateHost, type PrivateHost } from './private-host.ts';
import type { PrivateNetwork } from './private-network.ts';

export interface EchoRequest extends Probe {
  readonly network: NetworkRecord;
  readonly host: PrivateHost;
  /** UUID of the series. */
  readonly session: string;
  /** Of the caller, for the flow's record and limits. */
  readonly sourceAddress: string;
}

/** Series at once: far more people than ping at a time. */
const maxSessions = 1_024;
/** A ping asks every second; one that asks less often than this begins a new series unharmed. */
const idleMs = 30_000;

interface Entry {
  readonly session: EchoSession;
  readonly timer: NodeJS.Timeout;
}

export class EchoService {
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

  /** Sends one echo request. Throws 'flow.denied', 'flow.limit', and 'usage.invalid' for a sequence that still waits. */
  probe(request: EchoRequest): Promise<EchoResult> {
    const { network, host, session, sourceAddress, ttl, sequence, data, timeoutMs } = request;
    // A series belongs to who began it and to one destination; a foreign UUID opens nothing.
    const key = [network.accountTag, network.id, formatPrivateHost(host), session].join(' ');
    let entry = this.#entries.get(key);
    if (entry === undefined || entry.session.closed) {
      if (entry !== undefined) this.#forget(key, entry);
      if (this.#entries.size >= maxSessions)
        throw new PosternError('flow.limit', `There are already ${maxSessions} series of echo requests`);
      const visitor = { onRamp: 'echo', network, sourceAddress, sourcePort: 0 } as const;
      const opened: Entry = {
        session: this.#network.openEcho(visitor, host),
        timer: setTimeout(() => {
          this.#forget(key, opened);
          opened.session.close('idle');
        }, idleMs),
      };
      this.#entries.set(key, opened);
      entry = opened;
    }
    entry.timer.refresh();
    return entry.session.probe({ ttl, sequence, data, timeoutMs });
  }

  /** Ends every series. */
  close(): void {
    for (const [key, entry] of this.#entries) {
      this.#forget(key, entry);
      entry.session.close('edge-stopped');
    }
  }

  #forget(key: string, entry: Entry): void {
    clearTimeout(entry.timer);
    this.#entries.delete(key);
  }
}
