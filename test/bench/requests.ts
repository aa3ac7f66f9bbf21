// What is asked for, the same of every contender.

import type { LoadKind } from './options.ts';

/** Requests or flows at once: bulk ones few enough that bodies overlap but do not crowd. */
export const atOnce: Readonly<Record<LoadKind, number>> = { small: 64, down: 8, up: 8, 'tcp-down': 8, 'tcp-up': 8 };

/** Size of a bulk body: long enough that heads do not count. A multiple of the 64 KiB chunks in which it is sent. */
export const bulkBytes = 8 << 20;

export const smallBody = 'hello from the origin!\n';

export const paths: Readonly<Record<'small' | 'down' | 'up', string>> = {
  small: '/small.txt',
  down: '/bulk.bin',
  up: '/sink',
};

/** What a browser sends beside the host. */
export const visitorHeaders: readonly string[] = [
  ...['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ...['accept-encoding', 'gzip, br', 'accept-language', 'en-GB,en;q=0.7'],
  ...['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ...['cookie', 'session=0123456789abcdef0123456789abcdef'],
];
