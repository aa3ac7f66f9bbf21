// A certificate authority for tests, made in memory: real chains for servers on loopback.

import { randomBytes, webcrypto } from 'node:crypto';
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface TestCa {
  /** PEM. */
  readonly cert: string;
  /** A server certificate for these DNS names and IP addresses, with its key, both PEM; `cert` ends with the CA's. */
  issue(names: readonly string[]): Promise<TestCertificate>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 24 * 60 * 60_000;

/** `validDays` counts from yesterday, so 0 gives an expired one. */
export async function createTestCa(name = 'Test CA', validDays = 30): Promise<TestCa> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const subject = `CN=${name}`;
  const notBefore = new Date(Date.now() - dayMs);
  const notAfter = new Date(notBefore.getTime() + validDays * dayMs);
  const ca = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(8).toString('hex'),
    name: subject,
    notBefore,
    notAfter,
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    cert: ca.toString('pem'),
    issue: async names => {
      const leafKeys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const leaf = await X509CertificateGenerator.create({
        serialNumber: randomBytes(8).toString('hex'),
        subject: 'CN=test server',
        issuer: subject,
        notBefore,
        notAfter,
        signingAlgorithm: algorithm,
        publicKey: leafKeys.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new SubjectAlternativeNameExtension(
            names.map(value => ({ type: /^[\d.]+$|:/.test(value) ? ('ip' as const) : ('dns' as const), value })),
          ),
        ],
      });
      const key = await webcrypto.subtle.exportKey('pkcs8', leafKeys.privateKey);
      return {
        cert: `${leaf.toString('pem')}\n${ca.toString('pem')}\n`,
        key: PemConverter.encode(key, 'PRIVATE KEY'),
      };
    },
  };
}
