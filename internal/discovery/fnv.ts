// FNV-1a with 32 bits, and the rollout threshold that Cloudflare derives from it for an account.
// Source: docs/protocol/edge-protocol.md §3.2.

const offsetBasis = 0x811c9dc5;
const prime = 0x01000193;

/** FNV-1a-32 of the text's UTF-8 bytes, unsigned. */
export function fnv1a32(text: string): number {
  let hash = offsetBasis;
  for (const byte of Buffer.from(text, 'utf8')) hash = Math.imul(hash ^ byte, prime);
  return hash >>> 0;
}

/** 0…99: an account takes part in a rollout of `percentage` when that is strictly greater than this number. */
export function rolloutThreshold(accountTag: string): number {
  return fnv1a32(accountTag) % 100;
}
