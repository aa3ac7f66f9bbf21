// Logging in to Cloudflare, as cloudflared does: its dashboard puts the certificate where a key that we made tells it to, and
// we fetch it there. Source: docs/protocol/commands-and-api.md §8.

import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as after } from 'node:timers/promises';
import { encodeOriginCert, type OriginCert, parseOriginCert } from '../../internal/credentials/origin-cert.ts';
import { describeError, PosternError } from '../../internal/errors/error.ts';
import { requestWeb } from '../../internal/net/http/web-request.ts';
import type { ForwardProxy } from '../../internal/net/proxy/forward-proxy.ts';
import { userAgent } from './api.ts';

export interface CloudflareLogin {
  /** The dashboard's page. */
  readonly loginUrl: string;
  /** Where the certificate is put and fetched; ends with a slash. */
  readonly callbackUrl: string;
  /** Whether the account is one of the government's. */
  readonly fedramp: boolean;
  readonly proxyFor: (url: string) => ForwardProxy | undefined;
  /** Shows the person the page. */
  readonly show: (url: string) => void;
  readonly signal: AbortSignal;
}

export const cloudflarePages = {
  world: {
    loginUrl: 'https://dash.cloudflare.com/argotunnel',
    callbackUrl: 'https://login.cloudflareaccess.org/',
  },
  fedramp: {
    loginUrl: 'https://dash.fed.cloudflare.com/argotunnel',
    callbackUrl: 'https://login.fed.cloudflareaccess.org/',
  },
} as const;

/** The server answers when it has the certificate, or within a minute. */
const polls = 10;
const pollTimeoutMs = 60_000;
/** Between answers that are none: a server that fails at once is not asked ten times in a second. */
const pauseMs = 1_000;
const maxCertBytes = 64 * 1024;

/**
 * The certificate, and its text for cert.pem. Throws 'api.failed' when the server fails, 'api.unauthorized' when nobody
 * confirmed, 'credentials.invalid' when what it gives is no certificate.
 */
export async function logInToCloudflare(login: CloudflareLogin): Promise<{ cert: OriginCert; text: string }> {
  const key = Buffer.from(generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const place = login.callbackUrl + key.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
  login.show(`${login.loginUrl}?aud=&callback=${encodeURIComponent(place)}`);
  for (let count = 0; count < polls; count += 1) {
    const found = await poll(place, login);
    if (found !== undefined) {
      const cert: OriginCert = { ...parseOriginCert(found), ...(login.fedramp ? { endpoint: 'fed' } : {}) };
      return { cert, text: encodeOriginCert(cert) };
    }
    await after(pauseMs, undefined, { signal: login.signal });
  }
  throw new PosternError('api.unauthorized', 'Nobody confirmed the login in time: run the command again');
}

async function poll(url: string, { proxyFor, signal }: CloudflareLogin): Promise<string | undefined> {
  let answer: Awaited<ReturnType<typeof requestWeb>>;
  try {
    answer = await requestWeb({
      ...{ url, headers: { 'User-Agent': userAgent }, proxy: proxyFor(url), maxBytes: maxCertBytes },
      signal: AbortSignal.any([signal, AbortSignal.timeout(pollTimeoutMs)]),
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw new PosternError('api.failed', `Failed to fetch the certificate: ${describeError(cause)}`, { cause });
  }
  if (answer.status >= 500)
    throw new PosternError(
      'api.failed',
      `Failed to fetch the certificate: ${new URL(url).origin} answered ${answer.status}`,
    );
  return answer.status === 200 && answer.text !== '' ? answer.text : undefined;
}
