// Which transport protocol the next dial of a connection uses. One seam for a fixed protocol and for choosing.
// Source: spec edge-protocol §3.1, §3.5.

import type { Protocol } from '../transport/transport.ts';

export interface ProtocolPolicy {
  /** Asked before every dial. */
  next(connIndex: number): Protocol;
  /** A connection registered over `protocol`. */
  registered(connIndex: number, protocol: Protocol): void;
  /** An attempt over `protocol` failed, or a registered connection was lost. */
  failed(connIndex: number, protocol: Protocol, error: unknown): void;
}

/** Always the same one; never falls back. */
export function fixedProtocol(protocol: Protocol): ProtocolPolicy {
  return {
    next: () => protocol,
    registered: ignore,
    failed: ignore,
  };
}

function ignore(): void {
  // A fixed choice learns nothing.
}
