// Keeps a number of requests running for a while and times them, whatever they are sent through.

/** Sends one request of the given slot (0 … atOnce-1) and calls `done` once, when its answer has been read whole. */
export type Send = (slot: number, done: Done) => void;

/** `bytes` of body moved, in the direction that is measured; `ok` false when the answer was not the expected one. */
export type Done = (bytes: number, ok: boolean) => void;

export interface LoadResult {
  readonly requests: number;
  readonly failures: number;
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

/** Begins no request after `seconds`; settles when the last has ended. */
export function runLoad(send: Send, atOnce: number, seconds: number): Promise<LoadResult> {
  const { promise, resolve } = Promise.withResolvers<LoadResult>();
  const latenciesMs: number[] = [];
  const beginMs = performance.now();
  const untilMs = beginMs + seconds * 1000;
  let running = atOnce;
  let failures = 0;
  let bytes = 0;

  const next = (slot: number): void => {
    const startMs = performance.now();
    if (startMs >= untilMs) {
      running -= 1;
      if (running === 0) resolve(finish(startMs));
      return;
    }
    send(slot, (moved, ok) => {
      latenciesMs.push(performance.now() - startMs);
      bytes += moved;
      if (!ok) failures += 1;
      // A failed request must not become a busy loop.
      if (ok) next(slot);
      else setTimeout(next, 10, slot);
    });
  };
  const finish = (endMs: number): LoadResult => {
    const sorted = Float64Array.from(latenciesMs).sort();
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return {
      requests: sorted.length - failures,
      failures,
      bytes,
      elapsedMs: endMs - beginMs,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      longestMs: at(1),
    };
  };
  for (let slot = 0; slot < atOnce; slot += 1) next(slot);
  return promise;
}
