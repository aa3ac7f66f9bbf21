// Certificates for single visitor names, made when a visitor asks (SNI). Needed where a wildcard does not count: clients
// refuse `*.localhost` (a wildcard right below the root, RFC 6125 §7.2 and OpenSSL's rule), and one covers one label only.

import { createSecureContext, type SecureContext } from 'node:tls';
import { createRateLimiter } from '../net/limits/rate-limiter.ts';
import { type Authority, backdateMs, issueServerCertificate, serverLifetimeMs } from './issue.ts';

export interface NameCertificates {
  /** For `tls.createServer`: the certificate of one name, or the server's own when it has none of its own. */
  readonly sniCallback: (servername: string, done: (error: Error | null, context?: SecureContext) => void) => void;
}

/** Certificates that come before others. */
export interface CertificateOverlay {
  /** The certificate of each name, with `fallback` for those that have none here. */
  over(fallback: NameCertificates | undefined): NameCertificates;
}

/** Whether a name is routed, itself or by a wildcard. */
export type NameRoute = 'name' | 'wildcard' | undefined;

/** Most names of one kind kept at once, the one asked for longest ago out first; a context takes some 20 KiB. */
export const maxNames = 512;
/**
 * Certificates for names under a wildcard, of which a visitor can invent any number: each costs a millisecond of CPU. A page
 * of a user opens a few new names at a time.
 */
export const wildcardLimits = { burst: 128, perSecond: 2 };

interface Made {
  readonly context: Promise<SecureContext>;
  readonly issuedAtMs: number;
}

export function createNameCertificates(options: {
  readonly authority: Authority;
  readonly domains: readonly string[];
  readonly serves: (hostname: string) => NameRoute;
  readonly now: () => number;
}): NameCertificates {
  const { authority, domains, serves, now } = options;
  // Apart, so that invented names do not push out the routed ones.
  const made = { name: new Map<string, Made>(), wildcard: new Map<string, Made>() };
  const limiter = createRateLimiter({ ...wildcardLimits, now });
  const contextOf = (name: string, kind: 'name' | 'wildcard'): Promise<SecureContext> | undefined => {
    const contexts = made[kind];
    const known = contexts.get(name);
    const at = now();
    // Judged at each use: after a jump of the clock, either way, it would be one of the past or of the future.
    const isFresh =
      known !== undefined && at < known.issuedAtMs + serverLifetimeMs / 2 && at > known.issuedAtMs - backdateMs;
    // One bucket for all: the address of a visitor is not known here.
    if (!isFresh && kind === 'wildcard' && !limiter.take('all')) return undefined;
    const next = isFresh
      ? known
      : {
          context: issueServerCertificate(authority, [name], at).then(pair => createSecureContext(pair)),
          issuedAtMs: at,
        };
    // Deleting first keeps the map in order of last use.
    contexts.delete(name);
    contexts.set(name, next);
    const [oldest] = contexts.keys();
    if (contexts.size > maxNames && oldest !== undefined) contexts.delete(oldest);
    return next.context;
  };
  return {
    sniCallback(servername, done) {
      const name = servername.toLowerCase();
      const kind = needsOwnCertificate(name, domains) ? serves(name) : undefined;
      const context = kind === undefined ? undefined : contextOf(name, kind);
      if (context === undefined || kind === undefined) {
        done(null);
        return;
      }
      context.then(
        ready => done(null, ready),
        (error: unknown) => {
          made[kind].delete(name);
          done(error instanceof Error ? error : new Error(String(error)));
        },
      );
    },
  };
}

/** Whether `name` lies under one of the domains and no wildcard of theirs that clients accept covers it. */
export function needsOwnCertificate(name: string, domains: readonly string[]): boolean {
  if (name.length > 253 || !/^(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63})+$/.test(name)) return false;
  const domain = domains.find(item => name.endsWith(`.${item}`));
  if (domain === undefined) return false;
  const coveredByWildcard = domain.includes('.') && !name.slice(0, -domain.length - 1).includes('.');
  return !coveredByWildcard;
}
