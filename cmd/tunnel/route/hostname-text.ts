// Names that people type for public host names. Source: docs/protocol/commands-and-api.md §5.5.

import { domainToASCII } from 'node:url';

/** The text is sent as typed; only its ASCII form is checked. */
export function isHostname(text: string): boolean {
  const wildcard = text.startsWith('*.') ? '*.' : '';
  const ascii = domainToASCII(text.slice(wildcard.length));
  return /^[*_a-zA-Z0-9][-_.a-zA-Z0-9]*$/.test(ascii === '' ? text : wildcard + ascii) && !/[\s/?#:@]/.test(text);
}
