// The access token of a management request. Its signature is the edge's to check: it gave the token out, and only what it let
// pass comes here. Source: docs/protocol/ingress-and-origin.md §17; RFC 7519 §3.

import * as z from 'zod';

/** Who asks, and of which tunnel. */
export interface Actor {
  readonly id: string;
  readonly tunnelId: string;
  /** Undefined for a token that is good for ever. */
  readonly expiresAtMs: number | undefined;
}

/** Real ones are under 1 KiB. */
const maxTokenLength = 8_192;

const claimsSchema = z.object({
  tun: z.object({ id: z.string().min(1), account_tag: z.string().min(1) }),
  actor: z.object({ id: z.string().min(1).max(256) }),
  exp: z.number().optional(),
});

/** Reads `access_token` of a request's path; a text says what is wrong with it, without quoting it. */
export function readAccessToken(path: string): Actor | string {
  const token = new URLSearchParams(path.slice(path.indexOf('?') + 1)).get('access_token');
  if (!path.includes('?') || token === null || token === '') return 'missing access_token query parameter';
  if (token.length > maxTokenLength) return 'access_token is too long';
  const [head, body, signature, ...rest] = token.split('.');
  if (!head || !body || !signature || rest.length > 0) return 'access_token is not a signed token';
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
  } catch {
    return 'access_token holds no claims';
  }
  const parsed = claimsSchema.safeParse(claims);
  if (!parsed.success) return 'access_token lacks the tunnel or the actor';
  const { actor, exp, tun } = parsed.data;
  return { id: actor.id, tunnelId: tun.id, expiresAtMs: exp === undefined ? undefined : exp * 1_000 };
}
