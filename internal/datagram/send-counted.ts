// Sending one datagram, with the counting of those the connection does not take; both ends and both versions do it so.

import type { DatagramChannel } from '../transport/transport.ts';
import type { DatagramCounters } from './counters.ts';

/** Sends a view, which may be reused at once. False when it was dropped, which is counted on `dropped`. */
export function sendCounted(
  channel: DatagramChannel,
  datagram: Uint8Array,
  dropped: DatagramCounters['dropped'],
): boolean {
  if (channel.send(datagram)) return true;
  if (datagram.length > channel.maxBytes) dropped.send_too_large += 1;
  else dropped.send_full += 1;
  return false;
}
