// The pin of a certificate authority: how connectors know the private CA of their edge. Tokens and credentials
// carry it. Source: RFC 7469 §2.4 (what is hashed). The QUIC engine computes the same in Rust.

import { createHash, type X509Certificate } from 'node:crypto';

/** SHA-256 of the subject public key info, 64 hexadecimal digits in lower case. */
export function spkiPin(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
}
