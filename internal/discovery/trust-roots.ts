// The certificate roots of Cloudflare's network: fetched over ordinary web TLS from the addresses that Cloudflare's
// documentation gives (developers.cloudflare.com, SSL/TLS, Origin CA root certificates), kept in a 0600 file, never embedded.
// Source: docs/protocol/edge-protocol.md §5 (trust roots).

import { X509Certificate } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { foreignCode, PosternError } from '../errors/error.ts';
import { makeDirectory } from '../net/file/make-directory.ts';
import { requestWeb } from '../net/http/web-request.ts';
import type { ForwardProxy } from '../net/proxy/forward-proxy.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Origin SSL ECC and RSA roots, and the origin-pull root. */
export const cloudflareRootUrls: readonly string[] = [
  'https://developers.cloudflare.com/ssl/static/origin_ca_ecc_root.pem',
  'https://developers.cloudflare.com/ssl/static/origin_ca_rsa_root.pem',
  'https://developers.cloudflare.com/ssl/static/authenticated_origin_pull_ca.pem',
];

export interface TrustRootsOptions {
  /** Where the fetched roots are kept, e.g. `<state directory>/cloudflare-roots.pem`. */
  readonly cacheFile: string;
  readonly urls: readonly string[];
  /** PEM roots for the web TLS of the fetch; undefined = the system's. */
  readonly webCa?: readonly string[] | undefined;
  /** The documents are fetched through it. */
  readonly proxy?: ForwardProxy | undefined;
  /** Wall-clock milliseconds. */
  readonly nowMs: () => number;
  readonly logger: Logger;
}

const fetchTimeoutMs = 15_000;
/** The three files are 1 to 3 KiB each. */
const maxBytes = 64 * 1024;

/**
 * The roots as PEM texts, from the cache while all of them are valid, else fetched and cached. Rejects with 'tls.failed' and
 * a message that says what to do when there are none.
 */
export async function openTrustRoots(options: TrustRootsOptions): Promise<readonly string[]> {
  const cached = await readCache(options);
  if (cached !== undefined) return cached;
  const results = await Promise.allSettled(options.urls.map(url => fetchRoots(url, options)));
  const roots = results.flatMap(result => (result.status === 'fulfilled' ? result.value : []));
  const failed = results.find(result => result.status === 'rejected');
  if (roots.length === 0) {
    throw new PosternError(
      'tls.failed',
      `The certificate roots of Cloudflare's network are not known yet and could not be fetched from ${options.urls.join(', ')}. ` +
        'Allow this machine to reach that address once, or give a PEM file with --cacert',
      { cause: failed?.reason },
    );
  }
  if (failed !== undefined) {
    options.logger.warn(
      { error: String(failed.reason) },
      "Could not fetch all certificate roots of Cloudflare's network",
    );
  } else {
    await writeCache(options, roots);
  }
  return roots;
}

/** The certificates of a PEM text, in order; throws 'config.invalid' when one cannot be read or there is none. */
export function parseCertificates(pem: string, where: string): readonly string[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) throw new PosternError('config.invalid', `No PEM certificate in ${where}`);
  for (const text of found) {
    try {
      new X509Certificate(text);
    } catch (error) {
      throw new PosternError('config.invalid', `A certificate in ${where} cannot be read`, { cause: error });
    }
  }
  return found.map(text => `${text}\n`);
}

async function readCache(options: TrustRootsOptions): Promise<readonly string[] | undefined> {
  let text: string;
  try {
    text = await readFile(options.cacheFile, 'utf8');
  } catch (error) {
    if (foreignCode(error) !== 'ENOENT') {
      options.logger.warn({ error: String(error) }, `Could not read ${options.cacheFile}`);
    }
    return undefined;
  }
  try {
    const roots = parseCertificates(text, options.cacheFile);
    return roots.every(root => isUsable(root, options.nowMs())) ? roots : undefined;
  } catch (error) {
    options.logger.warn({ error: String(error) }, `${options.cacheFile} is damaged and will be fetched again`);
    return undefined;
  }
}

async function writeCache(options: TrustRootsOptions, roots: readonly string[]): Promise<void> {
  const { cacheFile } = options;
  const temporary = `${cacheFile}.${process.pid}`;
  try {
    makeDirectory(dirname(cacheFile), 0o700);
    await writeFile(temporary, roots.join(''), { mode: 0o600 });
    await rename(temporary, cacheFile);
  } catch (error) {
    // The roots themselves are good: they are fetched again at the next start.
    options.logger.warn({ error: String(error) }, `Could not keep the certificate roots in ${cacheFile}`);
  }
}

function isUsable(pem: string, nowMs: number): boolean {
  const certificate = new X509Certificate(pem);
  return certificate.ca && certificate.validToDate.getTime() > nowMs && certificate.validFromDate.getTime() <= nowMs;
}

async function fetchRoots(url: string, options: TrustRootsOptions): Promise<readonly string[]> {
  const roots = parseCertificates(await fetchText(url, options), url).filter(root => isUsable(root, options.nowMs()));
  if (roots.length === 0) throw new PosternError('tls.failed', `No valid CA certificate at ${url}`);
  return roots;
}

/** Only https and no redirects: whoever answers here decides whom the connector trusts. */
async function fetchText(url: string, { proxy, webCa }: TrustRootsOptions): Promise<string> {
  const failed = (what: string, cause?: unknown): PosternError =>
    new PosternError('dial.failed', `Fetching ${url} failed: ${what}`, { cause });
  if (!url.startsWith('https://')) throw failed('only https is trusted');
  try {
    const answer = await requestWeb({
      url,
      headers: { accept: 'application/x-pem-file, text/plain, */*' },
      ca: webCa,
      proxy,
      signal: AbortSignal.timeout(fetchTimeoutMs),
      maxBytes,
    });
    if (answer.status !== 200) throw failed(`status ${answer.status}`);
    return answer.text;
  } catch (error) {
    if (error instanceof PosternError) throw error;
    throw failed(foreignCode(error) ?? (error instanceof Error ? error.message : String(error)), error);
  }
}
