// Reads an exact number of bytes off a stream in paused mode; for handshakes, not for data paths.

import type { Duplex } from 'node:stream';
import { PosternError } from '../../errors/error.ts';

/**
 * Settles with `bytes` bytes, leaving what follows in the stream. Rejects 'protocol.malformed' when the stream ends or
 * closes first. One call at a time; the stream must not be flowing.
 */
export function readExactly(stream: Duplex, bytes: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const attempt = (): void => {
    const got = stream.read(bytes) as Buffer | null;
    if (got === null) {
      if (stream.readableEnded || stream.destroyed) fail();
      return;
    }
    stop();
    // At the end of the stream `read` hands out what is left, even if it is less.
    if (got.length === bytes) resolve(got);
    else reject(ended(bytes));
  };
  const fail = (): void => {
    stop();
    reject(ended(bytes));
  };
  const stop = (): void => {
    stream.off('readable', attempt).off('end', fail).off('close', fail);
  };
  stream.on('readable', attempt).on('end', fail).on('close', fail);
  attempt();
  return promise;
}

function ended(bytes: number): PosternError {
  return new PosternError('protocol.malformed', `The stream ended before ${bytes} bytes came.`);
}
