// All flows of the edge's private on-ramps: their limits, and the one place where their life is told. Owns no
// socket: whoever opened a flow closes what carries it.

import { PosternError } from '../../errors/error.ts';
import type { TunnelId } from '../../schema/api/id.ts';
import type { Flow, FlowBytes, FlowDenialReason, FlowEndReason, FlowEvent, FlowSubject } from './flow.ts';

/** Flows at once, at most. */
export interface FlowLimits {
  readonly total: number;
  readonly perAccount: number;
  /** Of one source address. */
  readonly perSource: number;
}

/**
 * A flow costs about 2 KiB here and a socket at the connector: the total keeps an edge below 150 MiB for them, one account
 * cannot take it all, and one address has room for a busy office behind NAT.
 */
export const defaultFlowLimits: FlowLimits = { total: 65_536, perAccount: 32_768, perSource: 8_192 };

const noBytes: FlowBytes = { up: 0, down: 0 };

/** A flow as its opener holds it. */
export interface OpenFlow extends Flow {
  /** Asked for the bytes so far, until the flow ends. */
  measure: () => FlowBytes;
  /** Called when something other than its opener ends it (a changed route): closes what carries it, and ends it. */
  cut: (reason: FlowEndReason) => void;
  /** Tells the end and gives the flow's place back. Idempotent: the first reason counts. */
  end(reason: FlowEndReason): void;
}

/** One for an edge, shared by all its on-ramps. */
export class FlowTracker {
  readonly #limits: FlowLimits;
  readonly #now: () => number;
  readonly #active = new Set<TrackedFlow>();
  readonly #byAccount = new Counts();
  readonly #bySource = new Counts();
  readonly #listeners = new Set<(event: FlowEvent) => void>();
  #lastId = 0;

  constructor(options: { readonly limits?: FlowLimits; readonly now?: () => number } = {}) {
    this.#limits = options.limits ?? defaultFlowLimits;
    this.#now = options.now ?? Date.now;
  }

  /** Calls `listener` for every event from now on; it must not throw. Returns what stops it. */
  subscribe(listener: (event: FlowEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  get size(): number {
    return this.#active.size;
  }

  /** The flows in progress, oldest first. */
  active(): readonly OpenFlow[] {
    return [...this.#active];
  }

  /** Begins a flow. Throws 'flow.limit' when the edge, the account or the source has too many; that is told as denied. */
  open(subject: FlowSubject, tunnelId: TunnelId): OpenFlow {
    const { accountTag, sourceAddress } = subject;
    const full =
      this.#active.size >= this.#limits.total
        ? `${this.#limits.total} flows on this edge`
        : this.#byAccount.of(accountTag) >= this.#limits.perAccount
          ? `${this.#limits.perAccount} flows of this account`
          : this.#bySource.of(sourceAddress) >= this.#limits.perSource
            ? `${this.#limits.perSource} flows from ${sourceAddress}`
            : undefined;
    if (full !== undefined) {
      this.deny(subject, 'limit');
      throw new PosternError('flow.limit', `There are already ${full}`);
    }
    this.#lastId += 1;
    const flow = new TrackedFlow(this.#lastId, subject, tunnelId, this.#now(), (gone, reason) =>
      this.#end(gone, reason),
    );
    this.#active.add(flow);
    this.#byAccount.add(accountTag);
    this.#bySource.add(sourceAddress);
    this.#tell({ kind: 'started', flow });
    return flow;
  }

  /** Tells that a flow was not allowed or not possible. */
  deny(subject: FlowSubject, reason: FlowDenialReason): void {
    this.#tell({ kind: 'denied', subject, reason, atMs: this.#now() });
  }

  /** Cuts the flows of clients that came in with this API token. */
  revoke(tokenId: string): void {
    for (const flow of this.active()) if (flow.tokenId === tokenId) flow.cut('revoked');
  }

  /** Cuts every flow. */
  close(): void {
    for (const flow of this.active()) flow.cut('edge-stopped');
  }

  #end(flow: TrackedFlow, reason: FlowEndReason): void {
    this.#active.delete(flow);
    this.#byAccount.remove(flow.accountTag);
    this.#bySource.remove(flow.sourceAddress);
    this.#tell({ kind: 'ended', flow, reason, endedAtMs: this.#now() });
  }

  #tell(event: FlowEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

class TrackedFlow implements OpenFlow {
  readonly id: number;
  readonly onRamp: FlowSubject['onRamp'];
  readonly protocol: FlowSubject['protocol'];
  readonly accountTag: string;
  readonly networkId: string;
  readonly tokenId: string | undefined;
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly tunnelId: TunnelId;
  readonly startedAtMs: number;
  measure: () => FlowBytes = () => noBytes;
  cut: (reason: FlowEndReason) => void = reason => this.end(reason);
  #final: FlowBytes | undefined;
  readonly #ended: (flow: TrackedFlow, reason: FlowEndReason) => void;

  constructor(
    id: number,
    subject: FlowSubject,
    tunnelId: TunnelId,
    startedAtMs: number,
    ended: (flow: TrackedFlow, reason: FlowEndReason) => void,
  ) {
    this.id = id;
    this.onRamp = subject.onRamp;
    this.protocol = subject.protocol;
    this.accountTag = subject.accountTag;
    this.networkId = subject.networkId;
    this.tokenId = subject.tokenId;
    this.sourceAddress = subject.sourceAddress;
    this.sourcePort = subject.sourcePort;
    this.destination = subject.destination;
    this.destinationPort = subject.destinationPort;
    this.tunnelId = tunnelId;
    this.startedAtMs = startedAtMs;
    this.#ended = ended;
  }

  get bytes(): FlowBytes {
    return this.#final ?? this.measure();
  }

  end(reason: FlowEndReason): void {
    if (this.#final !== undefined) return;
    this.#final = this.measure();
    this.#ended(this, reason);
  }
}

/** How many there are of each key; keys without any take no memory. */
class Counts {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string): void {
    this.#counts.set(key, this.of(key) + 1);
  }

  remove(key: string): void {
    const count = this.of(key) - 1;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}
