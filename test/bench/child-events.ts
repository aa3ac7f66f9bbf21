// Waits for what child processes of the benchmark tell.

import type { ChildProcess } from 'node:child_process';

/** A child that tells nothing for so long has failed. */
const waitMs = 60_000;

/** Settles with the next event of a kind; rejects when the child ends first or stays silent. */
export type Hear<Event extends { readonly event: string }> = <Kind extends Event['event']>(
  child: ChildProcess,
  kind: Kind,
) => Promise<Extract<Event, { event: Kind }>>;

/** For children that send messages of the type `Event`. */
export function hearing<Event extends { readonly event: string }>(): Hear<Event> {
  return async (child, kind) => {
    const { promise, resolve, reject } = Promise.withResolvers<Extract<Event, { event: typeof kind }>>();
    const onMessage = (message: unknown): void => {
      const event = message as Event;
      if (event.event === kind) resolve(event as Extract<Event, { event: typeof kind }>);
    };
    const fail = (): void => reject(new Error(`A process of the benchmark did not tell '${kind}'.`));
    const timer = setTimeout(fail, waitMs);
    child.on('message', onMessage).once('exit', fail);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      child.off('message', onMessage).off('exit', fail);
    }
  };
}
