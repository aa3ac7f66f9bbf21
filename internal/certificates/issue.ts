// Makes certificates: a private CA and server certificates under it, ECDSA P-256. Source: RFC 5280 §4; names the protocol
// fixes: docs/protocol/edge-protocol.md §5.

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
/** Connectors trust the CA through tokens handed out once, so it outlives the installation. */
const caLifetimeMs = 20 * 365 * dayMs;
/** What browsers still accept of a private server certificate with room to spare (their limit is 398 days). */
export const serverLifetimeMs = 90 * dayMs;
/** Clocks of connectors may be behind ours. */
export const backdateMs = 3_600_000;

/** A certificate authority that can sign. */
export interface Authority {
  readonly certificate: X509Certificate;
  readonly privateKey: webcrypto.CryptoKey;
}

/** PEM texts of a server's key and its chain, the server's certificate first and the CA's last. */
export interface IssuedCertificate {
  readonly key: string;
  readonly cert: string;
  readonly expiresAtMs: number;
}

/** A new CA as one PEM text: private key, then certificate. */
export async function createAuthorityPem(nowMs: number): Promise<string> {
  const keys = await generateKeys();
  const name = `CN=Postern edge CA ${randomSerial().slice(2, 10)}`;
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name,
    notBefore: new Date(nowMs - backdateMs),
    notAfter: new Date(nowMs + caLifetimeMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      // Path length 0: what this CA signs can never sign in turn.
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${await exportKey(keys.privateKey)}\n${certificate.toString('pem')}\n`;
}

/** Reads what `createAuthorityPem` wrote. Throws when a block is missing or damaged. */
export async function parseAuthorityPem(pem: string): Promise<Authority> {
  const blocks = PemConverter.decodeWithHeaders(pem);
  const find = (type: string): ArrayBuffer => {
    const block = blocks.find(item => item.type === type);
    if (block === undefined) throw new Error(`There is no ${type} block`);
    return block.rawData;
  };
  const certificate = new X509Certificate(find('CERTIFICATE'));
  const privateKey = await webcrypto.subtle.importKey('pkcs8', find('PRIVATE KEY'), algorithm, false, ['sign']);
  return { certificate, privateKey };
}

/** A server certificate for `names` (host names, wildcards, IP addresses) with a key of its own. */
export async function issueServerCertificate(
  authority: Authority,
  names: readonly string[],
  nowMs: number,
): Promise<IssuedCertificate> {
  const keys = await generateKeys();
  const alternatives: JsonGeneralName[] = names.map(name =>
    isIP(name) === 0 ? { type: 'dns', value: name } : { type: 'ip', value: name },
  );
  const notAfter = Math.min(nowMs + serverLifetimeMs, authority.certificate.notAfter.getTime());
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: 'CN=Postern edge',
    issuer: authority.certificate.subject,
    notBefore: new Date(nowMs - backdateMs),
    notAfter: new Date(notAfter),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(alternatives),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  });
  return {
    key: await exportKey(keys.privateKey),
    cert: `${certificate.toString('pem')}\n${authority.certificate.toString('pem')}\n`,
    expiresAtMs: notAfter,
  };
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

/** 127 random bits with the highest one set, so that the number is positive and always 16 bytes. */
function randomSerial(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
