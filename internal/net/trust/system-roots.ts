// The certificate authorities that this machine trusts: Node's own and those of the operating system, SSL_CERT_FILE and
// NODE_EXTRA_CA_CERTS included. One set for every TLS client, so that no transport trusts what another refuses.

import { getCACertificates } from 'node:tls';

let roots: readonly string[] | undefined;

/** PEM texts. Read once, when first needed: it takes tens of milliseconds. */
export function systemRoots(): readonly string[] {
  roots ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return roots;
}
