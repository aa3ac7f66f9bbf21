// Public host names as people give them, in the one form that the store and the visitors' router know.

import { domainToASCII } from 'node:url';
import { apiProblem } from './api-problem.ts';

/** The full ASCII name in the zone; a name outside the zone is taken as one below it. Throws `api.invalid`. */
export function parsePublicHostname(text: string, domain: string): string {
  const wildcard = text.startsWith('*.') ? '*.' : '';
  const given = text.slice(wildcard.length).replace(/\.$/, '');
  // Checked first: the conversion parses like a URL's host, so it would drop what follows `/`, `?` or `:`.
  const ascii = /^[-_.a-zA-Z0-9\u0080-\u{10ffff}]+$/u.test(given) ? domainToASCII(given).toLowerCase() : '';
  const base = isInZone(ascii, domain) ? ascii : `${ascii}.${domain}`;
  const hostname = wildcard + base;
  const isName = /^[_a-z0-9]([-_a-z0-9]{0,61}[_a-z0-9])?(\.[_a-z0-9]([-_a-z0-9]{0,61}[_a-z0-9])?)*$/.test(base);
  if (ascii === '' || !isName || hostname.length > 253) {
    throw apiProblem('invalid', `${JSON.stringify(text)} is not a valid host name`);
  }
  return hostname;
}

/** Whether a name, or the wildcard of one, is the zone's own or below it. */
export function isInZone(hostname: string, domain: string): boolean {
  return hostname === domain || hostname.endsWith(`.${domain}`);
}

/** What is told when a name leads somewhere already: of whose account it is nobody learns. */
export function hostnameTaken(hostname: string, advice: string): Error {
  return apiProblem('hostnameTaken', `The host name ${hostname} leads to another tunnel${advice}`);
}
