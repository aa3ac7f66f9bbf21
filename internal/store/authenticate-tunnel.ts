// Checks what a registration claims: account, tunnel id and secret. Source: docs/protocol/edge-protocol.md §8.1, §13.2
// point 7.

import { parseTunnelId } from '../schema/api/id.ts';
import type { Store } from './contract/store.ts';
import { matchesSecret } from './secret-box.ts';

export interface TunnelClaim {
  readonly accountTag: string;
  /** UUID text. */
  readonly tunnelId: string;
  readonly secret: Uint8Array;
}

/**
 * `old`: the secret is the one before the present one, and still good. `unknown`: no such live tunnel in that account;
 * `wrong-secret`: there is, but the secret is not its own.
 */
export type TunnelVerdict = 'accepted' | 'old' | 'unknown' | 'wrong-secret';

/** An unknown tunnel costs the same digests as a known one. Throws `store.failed` only. */
export async function authenticateTunnel(
  store: Store,
  claim: TunnelClaim,
  nowMs: number = Date.now(),
): Promise<TunnelVerdict> {
  const id = parseTunnelId(claim.tunnelId);
  const found = id === undefined ? undefined : await store.tunnels.secret(id);
  const known = found !== undefined && found.accountTag === claim.accountTag;
  const matches = matchesSecret(claim.secret, found?.secret.hash ?? noHash);
  const matchesOld = matchesSecret(claim.secret, found?.old?.hash ?? noHash);
  if (!known) return 'unknown';
  if (matches) return 'accepted';
  return matchesOld && nowMs < (found.old?.untilMs ?? 0) ? 'old' : 'wrong-secret';
}

/** Matches nothing that can be found: the digest part is all zero. */
const noHash = new Uint8Array(48);
