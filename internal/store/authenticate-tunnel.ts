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

/** `unknown`: no such live tunnel in that account; `wrong-secret`: there is, but the secret is not its own. */
export type TunnelVerdict = 'accepted' | 'unknown' | 'wrong-secret';

/** An unknown tunnel costs the same digest as a known one. Throws `store.failed` only. */
export async function authenticateTunnel(store: Store, claim: TunnelClaim): Promise<TunnelVerdict> {
  const id = parseTunnelId(claim.tunnelId);
  const found = id === undefined ? undefined : await store.tunnels.secret(id);
  const known = found !== undefined && found.accountTag === claim.accountTag;
  const matches = matchesSecret(claim.secret, found?.secret.hash ?? noHash);
  if (!known) return 'unknown';
  return matches ? 'accepted' : 'wrong-secret';
}

/** Matches nothing that can be found: the digest part is all zero. */
const noHash = new Uint8Array(48);
