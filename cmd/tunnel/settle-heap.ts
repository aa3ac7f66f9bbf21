// Keeps V8's heap small once a connector is at work: what the start left behind is collected, and the limits by which the
// heap grows are set for a program whose live data is small and whose garbage is young. These are flags of the whole
// process, so only the program sets them, never a library.

import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collect the old generation when it has grown by so much. V8 waits for three or four times the live data, and what
 * outlives two young collections under load is garbage a moment later: 30 MB of it piled up in seconds.
 */
const growthPercent = 40;
/**
 * Half of the young generation, in multiples of its first size of 1 MiB. V8 lets it grow to 16. Small requests over QUIC
 * and HTTP/2 took 118 and 115 MB of memory at 3 (with 40 %), 122 and 122 at 4 (50 %), 126 and 121 at 6 (30 %), 129 and
 * 151 without any of this; at 3 a request cost a tenth more instructions, at 4 and 6 no more than the noise.
 */
const youngGrowthFactor = 4;
/** More than V8's first young generation, so that having survived makes it grow. */
const survivorBytes = 2 << 20;

type Collect = (options: { readonly type: 'major' | 'minor'; readonly flavor?: 'last-resort' }) => void;

/**
 * Takes some 50 ms, in which nothing else runs: to be called when the start is over. Undo before the process ends, because
 * what Node then keeps of compiled code is only good for a process with the same flags.
 */
export function settleHeap(): { [Symbol.dispose](): void } {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('globalThis.gc') as Collect | undefined;
  setFlagsFromString('--no-expose-gc');
  // This flavor also gives the memory back, and makes the young generation as small as at the start of the process.
  collect?.({ type: 'major', flavor: 'last-resort' });
  setFlagsFromString(`--semi-space-growth-factor=${youngGrowthFactor}`);
  if (collect !== undefined) growYoung(collect);
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
  return {
    [Symbol.dispose]() {
      setFlagsFromString('--semi-space-growth-factor=2');
      setFlagsFromString('--heap-growing-percent=0');
    },
  };
}

/** V8 lets the young generation grow when more than fits in has survived: something must. */
function growYoung(collect: Collect): void {
  const survivors: unknown[] = [];
  const arrayLength = 120;
  for (let bytes = 0; bytes < survivorBytes; bytes += arrayLength * 8) survivors.push(new Array(arrayLength).fill(0));
  collect({ type: 'minor' });
}

/** Bytes of V8's young generation that hold or may hold objects; for tests. */
export function youngBytes(): number {
  return getHeapSpaceStatistics().find(space => space.space_name === 'new_space')?.space_size ?? 0;
}
