// Sending one datagram, with the counting of those the connection does not take; both ends and both versions do it so.

import type { DatagramChannel } from '../transport/transport.ts';
import type { DatagramCounters } from './counters.ts';

/** Sends the first `length` bytes of a buffer, which may be reused at once. False when dropped, counted on `dropped`. */
export function sendOrCountDrop(
  channel: DatagramChannel,
  buffer: Uint8Array,
  length: number,
  dropped: DatagramCounters['dropped'],
): boolean {
  if (channel.send(buffer, length)) return true;
  if (length > channel.maxBytes) dropped.send_too_large += 1;
  else dropped.send_full += 1;
  return false;
}
