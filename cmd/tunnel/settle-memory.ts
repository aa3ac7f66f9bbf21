// Gives back the memory that starting took, once a connector is at rest: V8 keeps it for a program that goes on allocating, and an
// idle connector never does.

import type { Tunnel } from '../../internal/connector/tunnel.ts';
import { returnFreeMemory } from '../../internal/net/linux/libc.ts';
import { collectGarbage } from '../../internal/net/stream/collect-garbage.ts';

/** After a connection has come or gone: the checks beside the start are over too. */
const restMs = 1_000;

/**
 * Collects once, when no connection has come or gone for a moment and no request is under way: it takes some 40 ms, and 6 MB less
 * are held afterwards. The returned function calls it off.
 */
export function settleMemory(
  { connector, metrics }: Pick<Tunnel, 'connector' | 'metrics'>,
  afterMs: number = restMs,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  const collect = (): void => {
    if (metrics.concurrentRequests > 0) {
      wait();
      return;
    }
    callOff();
    collectGarbage({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    returnFreeMemory();
  };
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(collect, afterMs).unref();
  };
  const callOff = (): void => {
    clearTimeout(timer);
    connector.off('ready', wait);
  };
  connector.on('ready', wait);
  return callOff;
}
