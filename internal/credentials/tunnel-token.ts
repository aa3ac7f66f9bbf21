// The token of `tunnel run --token`: base64 JSON {a, t, s[, e]} (docs/protocol/commands-and-api.md §7.2), plus keys of
// ours that a stock connector ignores: `pe` = addresses of the issuing edge, `pk` = pin of its CA, so that the token alone is
// enough to join, and `ph` = its port of visitors, which takes connectors too.

import * as z from 'zod';
import { PosternError } from '../errors/error.ts';
import { parseTunnelId, type TunnelId } from '../schema/api/id.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';

/** Everything a connector needs to register, and where our edge is if the token is ours. */
export interface TunnelToken {
  readonly accountTag: string;
  readonly tunnelId: TunnelId;
  /** Raw secret bytes; usually 32, may be more. Never logged. */
  readonly secret: Uint8Array;
  /** `fed` or another endpoint name; acts like --region. */
  readonly endpoint?: string | undefined;
  /** `host:port` of the edge that issued the token; absent for Cloudflare's. */
  readonly edge?: readonly string[] | undefined;
  /** SHA-256 (64 hex digits) of the subject public key info of the edge's CA certificate. */
  readonly caPin?: string | undefined;
  /** Port of visitors at which that edge takes connectors too, for where its own port is blocked. */
  readonly sharedPort?: number | undefined;
}

/** Largest token text looked at; real ones are under 1 KiB, the rest is room for many edge addresses. */
export const maxTokenLength = 16_384;
/** Most edge addresses read from a token; more than any region plan needs, small enough to dial. */
const maxEdgeAddresses = 32;

export const edgeAddressesSchema = z.array(z.string().min(1).max(262)).max(maxEdgeAddresses);
export const portSchema = z.int().min(1).max(65_535);
export const caPinSchema = z.string().regex(/^[0-9a-f]{64}$/);

const tokenSchema = z.object({
  a: z.string().min(1).max(256),
  t: z.string(),
  s: z.string().min(1),
  e: z.string().optional(),
  pe: edgeAddressesSchema.optional(),
  pk: caPinSchema.optional(),
  ph: portSchema.optional(),
});

/** Reads a token; surrounding white space (token files) is ignored. Throws `credentials.invalid`; the text is never quoted. */
export function parseToken(text: string): TunnelToken {
  const invalid = (why: string): PosternError =>
    new PosternError('credentials.invalid', `Provided Tunnel token is not valid. (${why})`);
  const trimmed = text.trim();
  if (trimmed === '') throw invalid('it is empty');
  if (trimmed.length > maxTokenLength) throw invalid(`it is longer than ${maxTokenLength} characters`);
  const bytes = decodeBase64(trimmed);
  if (bytes === undefined) throw invalid('it is not base64');
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's message quotes its input, which holds the secret.
    throw invalid('it does not hold JSON');
  }
  const parsed = tokenSchema.safeParse(json);
  if (!parsed.success) throw invalid(`key ${parsed.error.issues[0]?.path.join('.') || '(all)'} is missing or wrong`);
  const { a, t, s, e, pe, ph, pk } = parsed.data;
  const tunnelId = parseTunnelId(t);
  if (tunnelId === undefined) throw invalid('key t is not a UUID');
  const secret = decodeBase64(s);
  if (secret === undefined || secret.byteLength === 0) throw invalid('key s is not base64');
  return {
    accountTag: a,
    tunnelId,
    secret,
    ...(e === undefined || e === '' ? {} : { endpoint: e }),
    ...(pe === undefined || pe.length === 0 ? {} : { edge: pe }),
    ...(pk === undefined ? {} : { caPin: pk }),
    ...(ph === undefined ? {} : { sharedPort: ph }),
  };
}

/** The text of a token; `parseToken` reads it back. */
export function encodeToken(token: TunnelToken): string {
  const { accountTag, tunnelId, secret, endpoint, edge, caPin, sharedPort } = token;
  const json = {
    a: accountTag,
    t: tunnelId,
    s: encodeBase64(secret),
    // Members that are undefined are left out of the text.
    e: endpoint,
    pe: edge?.length === 0 ? undefined : edge,
    pk: caPin,
    ph: sharedPort,
  };
  return Buffer.from(JSON.stringify(json)).toString('base64');
}
