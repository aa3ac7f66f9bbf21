// The process of slow visitors, so that neither the fast visitor nor what is measured shares a thread with them. Forked by
// slow.ts; does what messages say.

import { until } from '../support/wait.ts';
import type { SlowCase } from './slow-case.ts';
import { openSlowVisitors, type SlowEnd, type SlowVisitors } from './slow-visitors.ts';

export type SlowCommand = { readonly open: SlowCase; readonly port: number } | 'close';

export type SlowEvent =
  /** All have begun, or the time for it is over. */
  { readonly event: 'begun'; readonly count: number } | ({ readonly event: 'closed' } & SlowEnd);

/** A tunnel that stands still lets nobody begin: then those who did not are told of, and the measurement goes on. */
const beginMs = 5_000;

let visitors: SlowVisitors | undefined;

async function run(command: SlowCommand): Promise<SlowEvent> {
  if (command === 'close') return { event: 'closed', ...((await visitors?.close()) ?? { lost: 0, bytes: 0 }) };
  const opened = openSlowVisitors(command.open, command.port);
  visitors = opened;
  await until('all have begun', () => opened.begun() >= command.open.count, beginMs).catch(() => undefined);
  return { event: 'begun', count: opened.begun() };
}

process.on('message', (command: SlowCommand) => void run(command).then(event => process.send?.(event)));
process.on('disconnect', () => process.exit(0));
