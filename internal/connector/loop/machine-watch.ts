// Notices what makes a dead connection likely: the machine slept, its clock was set, the process was suspended, or its
// network addresses changed. Ours; cloudflared waits for time-outs.

import { networkInterfaces } from 'node:os';
import type { Clock } from '../../net/time/clock.ts';

export type MachineChange = 'clock-jump' | 'suspended' | 'addresses';

export interface MachineWatchOptions {
  readonly clock: Clock;
  /** The machine's addresses without loopback; passed in for tests. */
  readonly addresses: () => readonly string[];
  readonly changed: (change: MachineChange) => void;
}

/** A second bounds how long a change goes unnoticed; reading clock and addresses costs some 50 µs. */
export const tickMs = 1_000;
/** Clocks that are being slewed drift by far less in a second; shorter sleeps do not end connections. */
const jumpMs = 3_000;

/** Begins watching at once; the returned function ends it. */
export function watchMachine(options: MachineWatchOptions): () => void {
  const { clock, changed } = options;
  let monotonic = clock.monotonicMs();
  let wall = clock.wallMs();
  let known = signature(options.addresses());
  let cancel = clock.after(tickMs, tick);

  function tick(): void {
    cancel = clock.after(tickMs, tick);
    const monotonicStep = clock.monotonicMs() - monotonic;
    const wallStep = clock.wallMs() - wall;
    monotonic += monotonicStep;
    wall += wallStep;
    const now = signature(options.addresses());
    const addressesChanged = now !== known;
    known = now;
    if (Math.abs(wallStep - monotonicStep) > jumpMs) changed('clock-jump');
    else if (monotonicStep > tickMs + jumpMs) changed('suspended');
    else if (addressesChanged) changed('addresses');
  }

  return () => cancel();
}

let lastKnown: readonly string[] = [];

/**
 * Every address of the machine that is not loopback or link-local; those two never carry an edge connection. Without a free
 * descriptor the system does not tell them: then those of the last time.
 */
export function machineAddresses(read: typeof networkInterfaces = networkInterfaces): readonly string[] {
  try {
    lastKnown = Object.values(read())
      .flatMap(list => list ?? [])
      .filter(entry => !entry.internal && !/^(fe[89ab]|169\.254\.)/i.test(entry.address))
      .map(entry => entry.address);
  } catch {
    // Whatever else wants a descriptor fails too, and says so.
  }
  return lastKnown;
}

function signature(addresses: readonly string[]): string {
  return addresses.toSorted().join(' ');
}
