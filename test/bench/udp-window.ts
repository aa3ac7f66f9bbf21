// Keeps a window of datagrams under way over some flows that echo them, whatever carries the flows.

import type { UdpResult } from './udp-command.ts';

/** One flow; `send` may drop. */
export interface EchoingFlow {
  send(): void;
  close(): void;
}

/** Opens flow `index`, which calls `echoed` for every datagram that comes back. */
export type OpenFlow = (index: number, echoed: () => void, failed: (error: Error) => void) => EchoingFlow;

/** A window that has not moved for so long has lost datagrams, which are sent anew. */
const stallMs = 300;

/** Sends `count` datagrams, at most `atOnce` under way, once `ready` says that every flow is open. */
export async function runWindow(
  { count, atOnce, sessions }: { readonly count: number; readonly atOnce: number; readonly sessions: number },
  openFlow: OpenFlow,
  ready: () => Promise<void>,
): Promise<UdpResult> {
  const done = Promise.withResolvers<void>();
  const open: EchoingFlow[] = [];
  let [sent, echoed, lost] = [0, 0, 0];
  const send = (flow: EchoingFlow | undefined): void => {
    if (sent >= count) return;
    sent += 1;
    flow?.send();
  };
  for (let index = 0; index < sessions; index += 1) {
    const flow = openFlow(
      index,
      () => {
        echoed += 1;
        if (echoed + lost >= count) done.resolve();
        else send(flow);
      },
      done.reject,
    );
    open.push(flow);
  }
  await ready();
  let before = -1;
  const refill = setInterval(() => {
    if (echoed === before) {
      lost = sent - echoed;
      if (sent >= count) done.resolve();
      for (let index = 0; index < atOnce; index += 1) send(open[index % sessions]);
    }
    before = echoed;
  }, stallMs);
  const startedMs = performance.now();
  for (let index = 0; index < atOnce; index += 1) send(open[index % sessions]);
  await done.promise;
  clearInterval(refill);
  const elapsedMs = performance.now() - startedMs;
  for (const flow of open) flow.close();
  return { echoed, lost, elapsedMs };
}
