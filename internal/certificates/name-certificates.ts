// Certificates for single visitor names, made when a visitor asks (SNI). Needed where a wildcard does not count: clients
// refuse `*.localhost` (a wildcard right below the root, RFC 6125 §7.2 and OpenSSL's rule), and one covers one label only.

import { createSecureContext, type SecureContext } from 'node:tls';
import { type Authority, issueServerCertificate, serverLifetimeMs } from './issue.ts';

export interface NameCertificates {
  /** For `tls.createServer`: the certificate of one name, or the server's own when it has none of its own. */
  readonly sniCallback: (servername: string, done: (error: Error | null, context?: SecureContext) => void) => void;
}

/** Most names kept at once, oldest out first; a context takes some 20 KiB. */
const maxNames = 512;

export function createNameCertificates(options: {
  readonly authority: Authority;
  readonly domains: readonly string[];
  readonly serves: (hostname: string) => boolean;
  readonly now: () => number;
}): NameCertificates {
  const { authority, domains, serves, now } = options;
  const contexts = new Map<string, { readonly context: Promise<SecureContext>; readonly renewAtMs: number }>();
  const contextOf = (name: string): Promise<SecureContext> => {
    const known = contexts.get(name);
    if (known !== undefined && now() < known.renewAtMs) return known.context;
    const context = issueServerCertificate(authority, [name], now()).then(pair => createSecureContext(pair));
    contexts.delete(name);
    contexts.set(name, { context, renewAtMs: now() + serverLifetimeMs / 2 });
    const [oldest] = contexts.keys();
    if (contexts.size > maxNames && oldest !== undefined) contexts.delete(oldest);
    return context;
  };
  return {
    sniCallback(servername, done) {
      const name = servername.toLowerCase();
      if (!needsOwnCertificate(name, domains) || !serves(name)) {
        done(null);
        return;
      }
      contextOf(name).then(
        context => done(null, context),
        (error: unknown) => {
          contexts.delete(name);
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
