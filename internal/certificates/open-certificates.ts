// The certificates of an edge: from its private CA in the state directory, made on first start, or from files given.
// Server certificates are renewed while the edge runs. Source: docs/protocol/edge-protocol.md §5, §13.1.

import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import {
  makePrivateDirectory,
  readOrCreatePrivateFile,
  readPrivateFile,
  replacePrivateFile,
} from '../credentials/private-file.ts';
import { describeError, PosternError } from '../errors/error.ts';
import { spkiPin } from '../net/trust/spki-pin.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type CertificateFiles, openFiles } from './certificate-files.ts';
import type { Source, TlsPair } from './certificate-source.ts';
import {
  type Authority,
  backdateMs,
  createAuthorityPem,
  issueServerCertificate,
  parseAuthorityPem,
  serverLifetimeMs,
} from './issue.ts';
import {
  type CertificateOverlay,
  createNameCertificates,
  type NameCertificates,
  type NameRoute,
} from './name-certificates.ts';

export interface Certificates extends AsyncDisposable {
  /** The CA that clients must trust: what --cacert names. */
  readonly caPem: string;
  /** SHA-256 (hex) of that CA's subject public key info. */
  readonly caPin: string;
  /** For the connectors' listener: the names the protocol fixes and `names`. Read anew after a renewal. */
  readonly tls: TlsPair;
  /** For the visitors' HTTPS listener: each visitor domain and its wildcard. Read anew after a renewal. */
  readonly visitorTls: TlsPair;
  /** Certificates for single visitor names that the wildcard does not cover. Undefined with files given. */
  readonly byName: NameCertificates | undefined;
  /** Calls `listener` after `tls` and `visitorTls` changed (servers then call `setSecureContext`). Returns what stops it. */
  onRenewed(listener: () => void): () => void;
  /** Renews what is due now; the timer does this by itself. Resolves to whether anything changed. */
  renew(): Promise<boolean>;
  /** Reads files given again, whether they look changed or not. Throws 'tls.failed', and the present ones stay. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

export interface CertificateOptions {
  /** Made with mode 0700 when missing; holds ca-key.pem (0600: key and certificate) and ca.pem (the certificate). */
  readonly stateDir: string;
  /** Own host names and IP addresses of the edge. */
  readonly names: readonly string[];
  /** Zones whose subdomains visitors use, such as `localhost`. */
  readonly visitorDomains: readonly string[];
  /**
   * Certificate chain and key to use in place of our own, both or none: for visitors, and for connectors too when the
   * certificate has the names that these check.
   */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** CA of `certFile`; without it the last certificate of the chain is pinned. */
  readonly caFile?: string | undefined;
  /** How a visitor name is served here, asked before a certificate is made for it. Default: every name, as 'name'. */
  readonly serves?: (hostname: string) => NameRoute;
  /** Public certificates, which come before those of the private CA. */
  readonly automatic?: CertificateOverlay | undefined;
  /** Told when a renewal fails. */
  readonly logger: Logger;
  readonly now?: () => number;
  /** How often expiry and changed files are looked for. Default 5,000. */
  readonly checkIntervalMs?: number;
}

/** Names every connector verifies (docs/protocol/edge-protocol.md §5). */
export const protocolNames = ['quic.cftunnel.com', 'h2.cftunnel.com', 'probe.cftunnel.com'] as const;

/** A jump of the clock, or a new file, is noticed within seconds; a look costs three calls of stat(2) at most. */
const defaultCheckIntervalMs = 5_000;

/** Opens or makes them. Throws `tls.failed` when files cannot be read or do not fit, `config.invalid` for half a pair. */
export async function openCertificates(options: CertificateOptions): Promise<Certificates> {
  const { certFile, keyFile } = options;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new PosternError('config.invalid', 'A certificate file and a key file must be given together');
  }
  const source =
    certFile === undefined || keyFile === undefined
      ? await openPrivateAuthority(options)
      : await openGiven({ certFile, keyFile, caFile: options.caFile }, options);
  const listeners = new Set<() => void>();
  let current = await source.load();
  const reload = async (): Promise<void> => {
    current = await source.load();
    for (const listener of listeners) listener();
  };
  const renew = async (): Promise<boolean> => {
    if (!(await source.isDue())) return false;
    await reload();
    return true;
  };
  let checking = false;
  let failing = false;
  const check = async (): Promise<void> => {
    if (checking) return;
    checking = true;
    try {
      if (await renew()) options.logger.info('New certificates are in use');
      failing = false;
    } catch (error) {
      // The listeners keep the certificate in use, and the next look tries again.
      if (!failing) options.logger.warn({ error: describeError(error) }, 'Certificate renewal failed');
      failing = true;
    } finally {
      checking = false;
    }
  };
  const timer = setInterval(() => void check(), options.checkIntervalMs ?? defaultCheckIntervalMs);
  timer.unref();
  const close = async (): Promise<void> => clearInterval(timer);
  return {
    get caPem() {
      return current.caPem;
    },
    get caPin() {
      return spkiPin(new X509Certificate(current.caPem));
    },
    get tls() {
      return current.tls;
    },
    get visitorTls() {
      return current.visitorTls;
    },
    byName: options.automatic?.over(source.byName) ?? source.byName,
    onRenewed(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    renew,
    reload: async () => {
      if (certFile === undefined) await renew();
      else await reload();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Connectors check names that no public CA signs: without them in the files given they get the private CA's certificate. */
async function openGiven(given: CertificateFiles, options: CertificateOptions): Promise<Source> {
  const files = openFiles(given);
  const leaf = new X509Certificate((await files.load()).tls.cert);
  if (protocolNames.every(name => leaf.checkHost(name) !== undefined)) return files;
  const own = await openPrivateAuthority(options);
  return {
    byName: undefined,
    async load() {
      const { visitorTls } = await files.load();
      return { ...(await own.load()), visitorTls };
    },
    isDue: async () => (await files.isDue()) || (await own.isDue()),
  };
}

async function openPrivateAuthority(options: CertificateOptions): Promise<Source> {
  const { stateDir, names, visitorDomains } = options;
  const now = options.now ?? Date.now;
  makePrivateDirectory(stateDir);
  const authority = await openAuthority(stateDir, now);
  const caPem = `${authority.certificate.toString('pem')}\n`;
  // The copy for people and --cacert holds nothing secret and follows the key file whenever they differ.
  const publicPath = join(stateDir, 'ca.pem');
  if (readPrivateFile(publicPath) !== caPem) replacePrivateFile(publicPath, caPem, 0o644);
  let expiresAtMs = 0;
  let issuedAtMs = 0;
  return {
    byName: createNameCertificates({
      authority,
      domains: visitorDomains,
      serves: options.serves ?? (() => 'name'),
      now,
    }),
    async load() {
      issuedAtMs = now();
      const tls = await issueServerCertificate(authority, [...new Set([...protocolNames, ...names])], issuedAtMs);
      const visitorNames = visitorDomains.flatMap(domain => [domain, `*.${domain}`]);
      const visitorTls = await issueServerCertificate(authority, [...new Set([...visitorNames, ...names])], issuedAtMs);
      expiresAtMs = Math.min(tls.expiresAtMs, visitorTls.expiresAtMs);
      return { caPem, tls, visitorTls };
    },
    // With a third of the lifetime left there is a month to notice that renewing fails. After the clock went back the
    // certificate is one of the future.
    isDue: async () => now() > expiresAtMs - serverLifetimeMs / 3 || now() < issuedAtMs - backdateMs,
  };
}

async function openAuthority(stateDir: string, now: () => number): Promise<Authority> {
  const path = join(stateDir, 'ca-key.pem');
  const pem = await readOrCreatePrivateFile(path, () => createAuthorityPem(now()));
  try {
    return await parseAuthorityPem(pem);
  } catch (cause) {
    throw new PosternError('tls.failed', `${path} does not hold a CA key and certificate`, { cause });
  }
}
