// Certificates from files given to the edge, read again when they change: the chain and its key as a pair or not at all.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { readSecretFile } from '../credentials/secret-file.ts';
import { PosternError } from '../errors/error.ts';
import { maxPemBytes, readText } from '../net/file/read-text.ts';
import type { Source } from './certificate-source.ts';

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** CA of the chain; without it the chain's last certificate counts as one. */
  readonly caFile: string | undefined;
}

/**
 * `load` throws 'tls.failed' when a file cannot be read or the key is not that of the certificate, 'credentials.invalid' for a key
 * that everybody can read.
 */
export function openFiles({ certFile, keyFile, caFile }: CertificateFiles): Source {
  const stamp = async (): Promise<string> =>
    (await Promise.all([certFile, keyFile, caFile ?? certFile].map(stampOf))).join(' ');
  let seen = '';
  return {
    byName: undefined,
    async load() {
      // What failed is tried again when a file changes once more: who writes a pair writes one after the other.
      seen = await stamp();
      const cert = await readPem(certFile);
      const key = readKey(keyFile);
      requirePair(cert, key, certFile, keyFile);
      const tls = { cert, key };
      const caPem = caFile === undefined ? lastCertificate(cert, certFile) : await readPem(caFile);
      return { caPem, tls, visitorTls: tls };
    },
    isDue: async () => (await stamp()) !== seen,
  };
}

/** Differs when the file was written, replaced, or is what a changed link leads to. */
async function stampOf(path: string): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(path);
    return `${ino}-${mtimeMs}-${size}`;
  } catch {
    // Reading it says why.
    return 'none';
  }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readText(path, maxPemBytes);
  } catch (cause) {
    throw new PosternError('tls.failed', `Cannot read the file ${path}`, { cause });
  }
}

/** Throws 'credentials.invalid' with the command that mends it when every user of the machine can read it. */
function readKey(path: string): string {
  let text: string | undefined;
  try {
    text = readSecretFile(path, 'The key');
  } catch (cause) {
    if (cause instanceof PosternError) throw cause;
    throw new PosternError('tls.failed', `Cannot read the file ${path}`, { cause });
  }
  if (text === undefined) throw new PosternError('tls.failed', `Cannot read the file ${path}: it does not exist`);
  return text;
}

function requirePair(cert: string, key: string, certFile: string, keyFile: string): void {
  let fits: boolean;
  try {
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new PosternError('tls.failed', `${certFile} and ${keyFile} are not a certificate and its key in PEM`, {
      cause,
    });
  }
  if (!fits)
    throw new PosternError('tls.failed', `The key in ${keyFile} is not that of the certificate in ${certFile}`);
}

function lastCertificate(chain: string, path: string): string {
  const last = chain.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g)?.at(-1);
  if (last === undefined) throw new PosternError('tls.failed', `There is no certificate in ${path}`);
  return `${last}\n`;
}
