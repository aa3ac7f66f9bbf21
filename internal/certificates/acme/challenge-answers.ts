// What this edge answers an authority that checks whether a name is served here: over HTTP, and by a certificate of its own kind
// over TLS. Source: RFC 8555 §8.3, RFC 8737 §3.

import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { Extension, PemConverter, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';
import type { Solver } from './request-certificate.ts';

/** Where the authority looks: below it stands the token. */
export const challengePath = '/.well-known/acme-challenge/';
/** id-pe-acmeIdentifier. */
const identifierOid = '1.3.6.1.5.5.7.1.31';
const dayMs = 86_400_000;

export class ChallengeAnswers {
  readonly #http = new Map<string, { readonly name: string; readonly text: string }>();
  readonly #tls = new Map<string, SecureContext>();

  /** The answer at `path` for `host`; undefined for a token that is not ours: a connector may have asked for it. */
  httpAnswer(path: string, host: string): string | undefined {
    if (this.#http.size === 0 || !path.startsWith(challengePath)) return undefined;
    const held = this.#http.get(path.slice(challengePath.length));
    return held !== undefined && held.name === host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
      ? held.text
      : undefined;
  }

  /** The certificate that proves a name, while an authority asks. */
  tlsAnswer(name: string): SecureContext | undefined {
    return this.#tls.get(name);
  }

  readonly http: Solver = {
    type: 'http-01',
    canSolve: () => true,
    present: async (name, token, text) => {
      this.#http.set(token, { name, text });
      return { [Symbol.asyncDispose]: async () => void this.#http.delete(token) };
    },
  };

  readonly tls: Solver = {
    type: 'tls-alpn-01',
    canSolve: () => true,
    present: async (name, _token, text) => {
      this.#tls.set(name, createSecureContext(await createChallengeCertificate(name, text)));
      return { [Symbol.asyncDispose]: async () => void this.#tls.delete(name) };
    },
  };
}

async function createChallengeCertificate(name: string, keyAuthorization: string) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const digest = createHash('sha256').update(keyAuthorization).digest();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=ACME challenge',
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new SubjectAlternativeNameExtension([{ type: 'dns', value: name }], false),
      // An OCTET STRING of 32 bytes.
      new Extension(identifierOid, true, Buffer.concat([Buffer.from([0x04, 0x20]), digest])),
    ],
  });
  return {
    cert: certificate.toString('pem'),
    key: PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
  };
}
