// Names of hosts by the system's resolver, as `dns.lookup` has it, but for `localhost` and names below it: those are loopback also
// where the system does not know them, as in a container without /etc/hosts. Source: RFC 6761 §6.3.

import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** The addresses in the order to try them in. */
export type LookupDone = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

const loopback: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** All addresses of a name; an address is its own. */
export function lookupHost(host: string, options: LookupAllOptions, done: LookupDone): void {
  lookup(host, options, (error, addresses) => {
    if (error === null || !isLocalName(host)) {
      done(error, addresses);
      return;
    }
    const { family } = options;
    const wanted = loopback.filter(entry => (family !== 4 && family !== 6) || entry.family === family);
    done(null, [...wanted]);
  });
}

/** The same for sockets, which may want one address alone. */
export const socketLookup: LookupFunction = (host, options, done) => {
  lookupHost(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null || options.all === true) done(error, addresses);
    else done(null, addresses[0]?.address ?? '', addresses[0]?.family);
  });
};

/** The same as a promise of texts. Rejects with the system's error. */
export function hostAddresses(host: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    lookupHost(host, { all: true }, (error, addresses) => {
      if (error === null) resolve(addresses.map(({ address }) => address));
      else reject(error);
    });
  });
}

export function isLocalName(host: string): boolean {
  return /(^|\.)localhost\.?$/i.test(host);
}
