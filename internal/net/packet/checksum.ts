// The Internet checksum: sums, pseudo headers, incremental change. Sources: RFC 1071, RFC 1624, RFC 8200 §8.1.
// Sums are carried unfolded in a number: a 64 KiB packet adds at most 2^31, far below 2^53.

/**
 * Adds the 16-bit big-endian words of `bytes[start…end)` to `sum`; an odd last byte counts as its word's high half.
 * Parts may be summed one after the other if every part but the last has even length.
 */
export function addWords(sum: number, bytes: Uint8Array, start: number, end: number): number {
  let total = sum;
  let at = start;
  for (; at + 1 < end; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  if (at < end) total += (bytes[at] ?? 0) << 8;
  return total;
}

/** The one's complement of the folded sum: what goes into a checksum field. */
export function finishChecksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return ~folded & 0xffff;
}

/** Checksum of a range. Over a range that holds its correct checksum the result is 0. */
export function checksum(bytes: Uint8Array, start: number, end: number): number {
  return finishChecksum(addWords(0, bytes, start, end));
}

/**
 * Sum of a pseudo header, to start a transport checksum with. Works for IPv4 and IPv6: both sum the addresses, the
 * length and the protocol number.
 * @param addressesAt where source and destination lie next to each other in `packet`
 * @param addressBytes 4 or 16
 */
export function pseudoHeaderSum(
  packet: Uint8Array,
  addressesAt: number,
  addressBytes: number,
  protocol: number,
  upperBytes: number,
): number {
  const sum = addWords(0, packet, addressesAt, addressesAt + 2 * addressBytes);
  return sum + protocol + (upperBytes >>> 16) + (upperBytes & 0xffff);
}

/** The checksum after one 16-bit word of the data changed (RFC 1624, equation 3). */
export function updateChecksum(old: number, oldWord: number, newWord: number): number {
  return finishChecksum((~old & 0xffff) + (~oldWord & 0xffff) + newWord);
}
