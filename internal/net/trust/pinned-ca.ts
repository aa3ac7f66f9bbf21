// The CA of a server that somebody knows the pin of: taken from the chain that the server shows, and trusted because of the pin
// alone. Nothing is sent before it is known.

import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { spkiPin } from './spki-pin.ts';

/** Longest chain looked at. */
const maxChain = 8;

/** PEM of the certificate in the chain whose pin it is; undefined when none is. Rejects with the system's or TLS's errors. */
export function fetchPinnedCa(options: {
  readonly host: string;
  readonly port: number;
  /** SHA-256 (hex) of the subject public key info. */
  readonly pin: string;
  readonly signal: AbortSignal;
}): Promise<string | undefined> {
  const { host, port, pin, signal } = options;
  return new Promise((resolve, reject) => {
    const servername = isIP(host) === 0 ? host : '';
    const socket = connect({ host, port, servername, rejectUnauthorized: false, minVersion: 'TLSv1.2' });
    const abort = (): void => void socket.destroy(new Error('no answer in time'));
    signal.addEventListener('abort', abort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', abort));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const found = findPinned(socket.getPeerX509Certificate(), pin);
      socket.destroy();
      resolve(found);
    });
  });
}

function findPinned(leaf: X509Certificate | undefined, pin: string): string | undefined {
  let current = leaf;
  for (let count = 0; current !== undefined && count < maxChain; count += 1) {
    if (current.ca && spkiPin(current) === pin) return current.toString();
    current = current.issuerCertificate;
  }
  return undefined;
}
