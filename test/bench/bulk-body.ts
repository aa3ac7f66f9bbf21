// The body of bulk loads, written with back-pressure.

import type { Writable } from 'node:stream';
import { bulkBytes } from './requests.ts';

const chunk = Buffer.alloc(64 * 1024, 'postern ');

/** Writes `bulkBytes` and then calls `written`, when the last of them has been handed over. */
export function writeBulk(body: Writable, written: () => void): void {
  let left = bulkBytes;
  const more = (): void => {
    while (left > 0) {
      left -= chunk.length;
      if (!body.write(chunk)) break;
    }
    if (left > 0) body.once('drain', more);
    else written();
  };
  more();
}
