// Which transport protocol the next dial of a connection uses. One seam for a fixed protocol and for choosing
// (auto-protocol.ts). Source: docs/protocol/edge-protocol.md §3.1, §3.5.

import type { Protocol } from '../../transport/transport.ts';

export interface ProtocolChoice {
  readonly first: Protocol;
  /** Dialled as well when the first one has not succeeded after this time, or has failed; whichever is there first is used. */
  readonly rival?: { readonly protocol: Protocol; readonly afterMs: number };
}

export interface ProtocolPolicy {
  /** Asked before every dial. */
  next(connIndex: number): ProtocolChoice;
  /** A connection registered over `protocol`. */
  registered(connIndex: number, protocol: Protocol): void;
  /** An attempt over `protocol` failed, or, with `wasRegistered`, a registered connection was lost. */
  failed(connIndex: number, protocol: Protocol, error: unknown, wasRegistered: boolean): void;
  /** Only of policies that learn: the protocol of which a trial dial is due now. */
  readonly trial?: (() => Protocol | undefined) | undefined;
  /** How the trial dial or the move of a connection went; undefined = well. */
  tried?(error: unknown): void;
  /** The protocol that connections over another one should move to now, one at a time and when idle; then `moving` is called. */
  target?(): Protocol | undefined;
  /** A move begins: the next one is due after a while. */
  moving?(): void;
  /** Only of policies that choose: while `needed` says so, connections are made over HTTP/2, and move to it. */
  keepHttp2While?(needed: () => boolean): void;
  /** The machine slept or its network changed: losses of this moment prove nothing, and a trial may go otherwise now. */
  machineChanged?(): void;
}

/** Always the same one; never falls back. */
export function fixedProtocol(protocol: Protocol): ProtocolPolicy {
  const choice = { first: protocol };
  return {
    next: () => choice,
    registered: ignore,
    failed: ignore,
  };
}

function ignore(): void {
  // A fixed choice learns nothing.
}
