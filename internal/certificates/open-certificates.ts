// The certificates of an edge: from its private CA in the state directory, made on first start, or from files given.
// Server certificates are renewed while the edge runs. Source: spec edge-protocol §5, §13.1.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  makePrivateDirectory,
  readOrCreatePrivateFile,
  readPrivateFile,
  replacePrivateFile,
} from '../credentials/private-file.ts';
import { describeError, PosternError } from '../errors/error.ts';
import type { Logger } from '../telemetry/logger.ts';
import {
  type Authority,
  createAuthorityPem,
  issueServerCertificate,
  parseAuthorityPem,
  pinOf,
  serverLifetimeMs,
} from './issue.ts';
import { createNameCertificates, type NameCertificates, type NameRoute } from './name-certificates.ts';

/** Key and chain of one listener, PEM; the chain ends with the CA's certificate, so a pinned client needs no file. */
export interface TlsPair {
  readonly key: string;
  readonly cert: string;
}

export interface Certificates extends AsyncDisposable {
  /** The CA that clients must trust: what --cacert names. */
  readonly caPem: string;
  /** SHA-256 (hex) of that CA's subject public key info. */
  readonly caPin: string;
  /** For the connectors' listener: the names the protocol fixes and `names`. Read anew after a renewal. */
  readonly tls: TlsPair;
  /** For the visitors' HTTPS listener: each visitor domain and its wildcard. Read anew after a renewal. */
  readonly visitorTls: TlsPair;
  /** Certificates for single visitor names that the wildcard cannot cover. Undefined with files given. */
  readonly byName: NameCertificates | undefined;
  /** Calls `listener` after `tls` and `visitorTls` changed (servers then call `setSecureContext`). Returns what stops it. */
  onRenewed(listener: () => void): () => void;
  /** Renews what is due now; the timer does this by itself. Resolves to whether anything changed. */
  renew(): Promise<boolean>;
  close(): Promise<void>;
}

export interface CertificateOptions {
  /** Made with mode 0700 when missing; holds ca-key.pem (0600: key and certificate) and ca.pem (the certificate). */
  readonly stateDir: string;
  /** Own host names and IP addresses of the edge. */
  readonly names: readonly string[];
  /** Zones whose subdomains visitors use, such as `localhost`. */
  readonly visitorDomains: readonly string[];
  /** Certificate chain and key to use in place of our own, for both listeners; both or none. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** CA of `certFile`; without it the last certificate of the chain is pinned. */
  readonly caFile?: string;
  /** How a visitor name is served here, asked before a certificate is made for it. Default: every name, as 'name'. */
  readonly serves?: (hostname: string) => NameRoute;
  /** Told when a renewal fails. */
  readonly logger: Logger;
  readonly now?: () => number;
}

/** Names every connector verifies (spec edge-protocol §5). */
export const protocolNames = ['quic.cftunnel.com', 'h2.cftunnel.com', 'probe.cftunnel.com'] as const;

/** How often expiry and changed files are looked for: a hundredth of what is left when a renewal becomes due. */
const checkIntervalMs = 6 * 3_600_000;

/** Opens or makes them. Throws `tls.failed` when files cannot be read or do not fit, `config.invalid` for half a pair. */
export async function openCertificates(options: CertificateOptions): Promise<Certificates> {
  const { certFile, keyFile } = options;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new PosternError('config.invalid', 'A certificate file and a key file must be given together');
  }
  const source =
    certFile === undefined || keyFile === undefined
      ? await openPrivateAuthority(options)
      : openFiles(certFile, keyFile, options.caFile);
  const listeners = new Set<() => void>();
  let current = await source.load();
  const renew = async (): Promise<boolean> => {
    if (!source.isDue()) return false;
    current = await source.load();
    for (const listener of listeners) listener();
    return true;
  };
  const timer = setInterval(() => {
    // A renewal that fails is tried again long before the certificate in use expires; the listeners keep that one.
    renew().catch((error: unknown) =>
      options.logger.warn({ error: describeError(error) }, 'Certificate renewal failed'),
    );
  }, checkIntervalMs);
  timer.unref();
  const close = async (): Promise<void> => clearInterval(timer);
  return {
    get caPem() {
      return current.caPem;
    },
    get caPin() {
      return pinOf(current.caPem);
    },
    get tls() {
      return current.tls;
    },
    get visitorTls() {
      return current.visitorTls;
    },
    byName: source.byName,
    onRenewed(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    renew,
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Loaded {
  readonly caPem: string;
  readonly tls: TlsPair;
  readonly visitorTls: TlsPair;
}

interface Source {
  readonly byName: NameCertificates | undefined;
  load(): Promise<Loaded>;
  /** Whether `load` would give something newer. */
  isDue(): boolean;
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
  return {
    byName: createNameCertificates({
      authority,
      domains: visitorDomains,
      serves: options.serves ?? (() => 'name'),
      now,
    }),
    async load() {
      const tls = await issueServerCertificate(authority, [...new Set([...protocolNames, ...names])], now());
      const visitorNames = visitorDomains.flatMap(domain => [domain, `*.${domain}`]);
      const visitorTls = await issueServerCertificate(authority, [...new Set([...visitorNames, ...names])], now());
      expiresAtMs = Math.min(tls.expiresAtMs, visitorTls.expiresAtMs);
      return { caPem, tls, visitorTls };
    },
    // With a third of the lifetime left there is a month to notice that renewing fails.
    isDue: () => now() > expiresAtMs - serverLifetimeMs / 3,
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

function openFiles(certFile: string, keyFile: string, caFile: string | undefined): Source {
  const stamp = (): string => [certFile, keyFile, caFile ?? certFile].map(modifiedAt).join(' ');
  let loaded = '';
  return {
    byName: undefined,
    async load() {
      loaded = stamp();
      const tls = { cert: readPem(certFile), key: readPem(keyFile) };
      const caPem = caFile === undefined ? lastCertificate(tls.cert, certFile) : readPem(caFile);
      return { caPem, tls, visitorTls: tls };
    },
    isDue: () => stamp() !== loaded,
  };
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new PosternError('tls.failed', `Cannot read the file ${path}`, { cause });
  }
}

function modifiedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function lastCertificate(chain: string, path: string): string {
  const last = chain.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g)?.at(-1);
  if (last === undefined) throw new PosternError('tls.failed', `There is no certificate in ${path}`);
  return `${last}\n`;
}
