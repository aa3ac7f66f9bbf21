// Gives back the memory that starting took, once a connector is at rest: V8 keeps it for a program that goes on allocating, and an
// idle connector never does.

import type { Tunnel } from '../../internal/connector/tunnel.ts';
import { collectGarbage } from '../../internal/net/stream/collect-garbage.ts';

/** After the last connection has come: the checks beside the start are over too. */
const restMs = 1_500;

/**
 * Collects once, when no connection has come or gone for a moment and no request is under way: it takes some 40 ms, and 5 MB less
 * are held afterwards. The returned function calls it off.
 */
export function settleMemory({ connector, metrics }: Pick<Tunnel, 'connector' | 'metrics'>): () => void {
  let timer: NodeJS.Timeout | undefined;
  const collect = (): void => {
    if (metrics.concurrentRequests > 0) {
      wait();
      return;
    }
    callOff();
    collectGarbage({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  };
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(collect, restMs).unref();
  };
  const callOff = (): void => {
    clearTimeout(timer);
    connector.off('ready', wait);
  };
  connector.on('ready', wait);
  return callOff;
}
