// Access tokens of the management host: who may ask what of which tunnel's connectors, for an hour. JWTs signed with a key of
// the edge's state directory, so that every edge on that state takes them. Source: docs/protocol/ingress-and-origin.md §17;
// RFC 7519; RFC 7518 §3.4.

import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod';
import { readOrCreatePrivateFile } from '../../credentials/private-file.ts';
import { PosternError } from '../../errors/error.ts';
import { type ManagementResource, managementResources } from '../../schema/api/management.ts';

export interface ManagementGrant {
  readonly tunnelId: string;
  readonly accountTag: string;
  /** Who asked for the token: of one actor's log streams the newest stays. */
  readonly actor: string;
  /** The API token that it was asked for with, and without which it is good no more. */
  readonly tokenId: string;
  readonly resource: ManagementResource;
}

/** A grant that was presented. */
export interface PresentedGrant extends ManagementGrant {
  readonly expiresAtMs: number;
}

export interface ManagementTokens {
  /** A token for an hour, or until `beforeMs` if that is sooner. `url`: where it is good, for clients that have no other way to know. */
  issue(grant: ManagementGrant, url: string, beforeMs?: number): Promise<string>;
  /** Undefined for what this edge did not sign, what has expired, and what is no token. */
  verify(token: string): Promise<PresentedGrant | undefined>;
}

/** Long enough to find a fault; whoever has the token can read the log for no longer. */
const lifetimeSeconds = 60 * 60;
const algorithm = 'ES256';
const audience = 'postern-management';
/** Real ones have some 500. */
const maxTokenLength = 4_096;

const claimsSchema = z.object({
  tun: z.object({ id: z.string(), account_tag: z.string() }),
  actor: z.object({ id: z.string() }),
  tok: z.string(),
  res: z.enum(managementResources),
  exp: z.number(),
});

/** The key is `<stateDir>/management-key.pem`, made on first use (0600). Throws 'store.failed' when it is no key. */
export async function openManagementTokens(stateDir: string, now: () => number = Date.now): Promise<ManagementTokens> {
  const path = join(stateDir, 'management-key.pem');
  const pem = await readOrCreatePrivateFile(path, makeKey);
  const keys = readKeys(pem, path);
  return {
    async issue(grant, url, beforeMs = Number.POSITIVE_INFINITY) {
      const { SignJWT } = await import('jose');
      const seconds = Math.floor(now() / 1_000);
      return new SignJWT({
        tun: { id: grant.tunnelId, account_tag: grant.accountTag },
        actor: { id: grant.actor, support: false },
        res: grant.resource,
        tok: grant.tokenId,
      })
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .setIssuer(url)
        .setAudience(audience)
        .setIssuedAt(seconds)
        .setExpirationTime(Math.min(seconds + lifetimeSeconds, Math.floor(beforeMs / 1_000)))
        .setJti(randomUUID())
        .sign(keys.privateKey);
    },
    async verify(token) {
      if (token.length > maxTokenLength) return undefined;
      const { jwtVerify, errors } = await import('jose');
      try {
        const { payload } = await jwtVerify(token, keys.publicKey, {
          algorithms: [algorithm],
          audience,
          requiredClaims: ['exp', 'iat'],
          currentDate: new Date(now()),
        });
        const { data } = claimsSchema.safeParse(payload);
        if (data === undefined) return undefined;
        const { actor, exp, res: resource, tok: tokenId, tun } = data;
        return {
          tunnelId: tun.id,
          accountTag: tun.account_tag,
          actor: actor.id,
          resource,
          tokenId,
          expiresAtMs: exp * 1_000,
        };
      } catch (error) {
        if (error instanceof errors.JOSEError) return undefined;
        throw error;
      }
    },
  };
}

function makeKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function readKeys(pem: string, path: string) {
  try {
    const privateKey = createPrivateKey(pem);
    return { privateKey, publicKey: createPublicKey(privateKey) };
  } catch (cause) {
    throw new PosternError('store.failed', `${path} holds no private key; remove it, and a new one is made`, { cause });
  }
}
