// Access enforcement at the connector: a rule with `access.required` serves only requests that carry a valid JWT of the
// team. Source: docs/protocol/ingress-and-origin.md §12.
//
//   no header → 403        token invalid, expired, or keys unavailable → failure (502)        wrong audience → 403

import type { FetchImplementation, JWTVerifyGetKey } from 'jose';
import { PosternError } from '../errors/error.ts';
import { headerValue } from '../net/http/header-list.ts';
import { requestWeb } from '../net/http/web-request.ts';
import type { Exchange } from '../origin/exchange/exchange.ts';
import type { AccessPolicy } from '../schema/origin-request.ts';

const header = 'cf-access-jwt-assertion';
/** Keys of a team are a few kilobytes. */
const maxKeySetBytes = 256 * 1024;
const keySetTimeoutMs = 5000;
/** Issuers come from the configuration; more than this many means it changes all the time. */
const maxIssuers = 64;
/** Verifications under way at once; a flood of tokens must not queue without end. */
const maxPending = 1024;

/** The issuer of a team: `https://<team>.cloudflareaccess.com`, or of its FedRAMP twin. */
export type IssuerOf = (policy: AccessPolicy) => string;

export function accessIssuer(policy: AccessPolicy): string {
  const domain = policy.environment === 'fed' ? 'fed.cloudflareaccess.com' : 'cloudflareaccess.com';
  return `https://${policy.teamName}.${domain}`;
}

/** Checks requests; holds the key sets of the issuers seen, which outlive a configuration. */
export class AccessGuard {
  readonly #issuerOf: IssuerOf;
  readonly #keys = new Map<string, JWTVerifyGetKey>();
  #pending = 0;

  constructor(issuerOf: IssuerOf = accessIssuer) {
    this.#issuerOf = issuerOf;
  }

  /** Calls `proceed` when the request may go on; otherwise answers it. Never throws. */
  check(policy: AccessPolicy, exchange: Exchange, proceed: () => void): void {
    const token = headerValue(exchange.head.headers, header);
    if (token === undefined || token === '') {
      exchange.respond(403, [], true);
      return;
    }
    if (this.#pending >= maxPending) {
      exchange.fail(new PosternError('unavailable', 'Too many access tokens are being checked.'));
      return;
    }
    this.#pending += 1;
    this.#verify(policy, token)
      .then(
        allowed => {
          if (exchange.body.destroyed) return;
          if (allowed) proceed();
          else exchange.respond(403, [], true);
        },
        (cause: unknown) => exchange.fail(notVerified(cause)),
      )
      // What goes wrong with the request itself says nothing about its token.
      .catch((cause: unknown) => exchange.fail(new PosternError('internal', 'The request failed.', { cause })))
      .finally(() => {
        this.#pending -= 1;
      });
  }

  /** Whether an audience of the valid token is one of the policy's. Throws when the token is not valid. */
  async #verify(policy: AccessPolicy, token: string): Promise<boolean> {
    // Loaded with the first token: most connectors never see one.
    const jose = await import('jose');
    const issuer = this.#issuerOf(policy);
    const { payload } = await jose.jwtVerify(token, this.#keySet(jose, issuer), {
      issuer,
      algorithms: ['RS256'],
      requiredClaims: ['exp'],
    });
    const audiences = typeof payload.aud === 'string' ? [payload.aud] : (payload.aud ?? []);
    return audiences.some(audience => policy.audTag.includes(audience));
  }

  #keySet({ createRemoteJWKSet, customFetch }: typeof import('jose'), issuer: string): JWTVerifyGetKey {
    const known = this.#keys.get(issuer);
    if (known !== undefined) return known;
    const [oldest] = this.#keys.keys();
    if (this.#keys.size >= maxIssuers && oldest !== undefined) this.#keys.delete(oldest);
    // jose fetches again for an unknown key, but not more often than every 30 s.
    const keys = createRemoteJWKSet(new URL(`${issuer}/cdn-cgi/access/certs`), {
      timeoutDuration: keySetTimeoutMs,
      [customFetch]: boundedFetch,
    });
    this.#keys.set(issuer, keys);
    return keys;
  }
}

/** Reads at most `maxKeySetBytes` of an answer. */
const boundedFetch: FetchImplementation = async (url, { headers, signal }) => {
  const answer = await requestWeb({ url, headers: Object.fromEntries(headers), signal, maxBytes: maxKeySetBytes });
  return new Response(answer.text, { status: answer.status });
};

function notVerified(cause: unknown): PosternError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PosternError('origin.refused', `error while processing middleware handler AccessJWTValidator: ${reason}`, {
    cause,
    details: { hop: 'access' },
  });
}
