// Keeps short-lived buffers from costing whole-heap collections. What Node reads from sockets lies outside V8's heap, which
// therefore looks empty while megabytes of dead buffers pile up behind it, until V8 marks the whole heap to find them: a
// third of the CPU samples of a bulk download. A collection of the young generation frees them too, so we ask for that.

import { setFlagsFromString } from 'node:v8';
import { collectGarbage } from './collect-garbage.ts';

/**
 * Garbage between two collections. Bulk downloads took 9.6 M instructions a MB and 157 MB RSS without, 5.1 M and 124 MB at
 * 16 MiB, 5.3 M and 116 MB at 8 MiB, 5.0 M and 117 MB at 6 MiB; differences under a tenth are noise.
 */
const collectEveryBytes = 8 << 20;

let garbageBytes = 0;

/**
 * Says that so many bytes of short-lived memory were allocated, inside V8's heap or outside. Costs an addition, and now and
 * then a collection.
 */
export function countGarbage(bytes: number): void {
  garbageBytes += bytes;
  if (garbageBytes < collectEveryBytes) return;
  garbageBytes = 0;
  // The buffers are freed at once, by this thread. Freed later by another one, as V8 does by itself, they still count as
  // memory in use when the next ones come: on a busy machine V8 then marked the whole heap after all, every half second.
  // Only meanwhile: V8 takes code from its cache on disk only under the flags with which it was put there.
  for (const name of threads) setFlagsFromString(`--no-${name}`);
  collectGarbage({ type: 'minor' });
  for (const name of threads) setFlagsFromString(`--${name}`);
}

/** V8's flags for other threads in a collection of the young generation; for half a megabyte they cost more than they do. */
const threads = ['parallel-scavenge', 'concurrent-array-buffer-sweeping'] as const;

/** The same for a chunk, to listen with to the data of a stream that is piped. */
export function countChunk(chunk: Uint8Array): void {
  countGarbage(chunk.length);
}
