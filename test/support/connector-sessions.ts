// The environment that connector-side UDP sessions need, for tests: real sockets, quick idle clock, counted flow slots.

import { IdleWheel } from '../../internal/datagram/channel/idle-wheel.ts';
import type { SessionEnvironment } from '../../internal/datagram/connector/udp-session.ts';
import { openNodeUdp } from '../../internal/datagram/socket/udp-socket.ts';
import { silentLogger } from '../../internal/telemetry/logger.ts';

/** Flow slots with a limit and a count, as the proxy's limiter has them. */
export class CountedSlots {
  limit: number;
  taken = 0;

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.limit = limit;
  }

  tryAcquire(): boolean {
    if (this.taken >= this.limit) return false;
    this.taken += 1;
    return true;
  }

  release(): void {
    this.taken -= 1;
  }
}

export interface TestEnvironment extends SessionEnvironment {
  readonly flows: CountedSlots;
}

export function sessionEnvironment(options: Partial<SessionEnvironment> & { limit?: number } = {}): TestEnvironment {
  return {
    openUdp: openNodeUdp,
    allowDestination: () => true,
    resolvers: [],
    wheel: new IdleWheel({ tickMs: 10 }),
    overflowed: () => undefined,
    log: silentLogger(),
    ...options,
    flows: new CountedSlots(options.limit),
  };
}
