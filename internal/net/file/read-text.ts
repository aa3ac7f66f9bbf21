// Texts of files that a setting names: whatever the name leads to, a pipe without an end or a device, memory and time are bounded.
// Source: open(2), fifo(7).

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { foreignCode, isSystemError } from '../../errors/error.ts';

/** Largest file of certificates: the system's own roots are 0.3 MB. */
export const maxPemBytes = 4 << 20;
/** A pipe of a shell, `<(…)`, is written by a program that has just been started. */
const pipeWaitMs = 10_000;
/** How often a pipe is looked at while it is empty. */
const pipeLookMs = 20;
const chunkBytes = 64 * 1024;

/**
 * Reads at most `maxBytes`, as UTF-8. Rejects with the system's errors, and with an Error for more, and for a pipe that nobody
 * writes to within `waitMs`.
 */
export async function readText(path: string, maxBytes: number, waitMs: number = pipeWaitMs): Promise<string> {
  // Opening a pipe would otherwise wait for its writer, in a thread that others need. Windows has no such flag.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const isPipe = (await file.stat()).isFIFO();
    const deadline = performance.now() + waitMs;
    const chunks: Buffer[] = [];
    for (let length = 0; ; ) {
      const chunk = Buffer.allocUnsafe(chunkBytes);
      const got = await readAvailable(file, chunk);
      // A pipe without a writer reads as ended: it may not have been opened yet.
      if (got === undefined || (got === 0 && isPipe && length === 0)) {
        if (performance.now() >= deadline) throw new Error(`nothing was written to it in ${waitMs / 1_000} s`);
        await delay(pipeLookMs);
        continue;
      }
      if (got === 0) return Buffer.concat(chunks).toString('utf8');
      length += got;
      if (length > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
      chunks.push(chunk.subarray(0, got));
    }
  } finally {
    await file.close();
  }
}

/** Why it could not be read, for a message: the system's code, or a sentence's end. */
export function unreadableReason(error: unknown): string {
  if (isSystemError(error)) return foreignCode(error) ?? error.message;
  return error instanceof Error ? error.message : String(error);
}

/** Bytes read; 0 at the end, undefined when there are none yet. */
async function readAvailable(file: Awaited<ReturnType<typeof open>>, into: Buffer): Promise<number | undefined> {
  try {
    return (await file.read(into, 0, into.byteLength, null)).bytesRead;
  } catch (error) {
    if (foreignCode(error) === 'EAGAIN') return undefined;
    throw error;
  }
}
