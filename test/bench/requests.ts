// What is asked for, the same through the tunnel and through nginx.

import type { LoadKind } from './options.ts';

/** Requests at once: small ones as in the published figures, bulk ones few enough that bodies overlap but do not crowd. */
export const atOnce: Readonly<Record<LoadKind, number>> = { small: 64, down: 8, up: 8 };

/** Size of a bulk body: long enough that heads do not count. A multiple of the 64 KiB chunks in which it is sent. */
export const bulkBytes = 8 << 20;

export const smallBody = 'hello from the origin!\n';

export const paths: Readonly<Record<LoadKind, string>> = { small: '/small.txt', down: '/bulk.bin', up: '/sink' };

/** A browser's request after an edge added its own headers. */
export const visitorHeaders: readonly string[] = [
  ...['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ...['accept-encoding', 'gzip, br', 'accept-language', 'en-GB,en;q=0.7'],
  ...['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ...['cf-ray', '8f0c2d1e3a4b5c6d-FRA', 'cf-connecting-ip', '203.0.113.9', 'cf-visitor', '{"scheme":"https"}'],
  ...['x-forwarded-for', '203.0.113.9', 'x-forwarded-proto', 'https'],
  ...['cookie', 'session=0123456789abcdef0123456789abcdef'],
];
