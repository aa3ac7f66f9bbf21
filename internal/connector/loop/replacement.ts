// A connection over another protocol, or to another address, that takes the place of a registered one: dialled and
// registered while that one still serves, so that the edge always has one of the two. Ours;
// docs/protocol/edge-protocol.md §6.2 names `replaceExisting` and no use of it.

import { type EdgeAddress, formatEdgeAddress } from '../../discovery/edge-address.ts';
import { describeError, isPosternError } from '../../errors/error.ts';
import type { Protocol } from '../../transport/transport.ts';
import { rivalAfterMs } from '../protocol/auto-protocol.ts';
import { stoppedError } from './abortable.ts';
import { dialEdge } from './edge-dial.ts';
import { type EdgeLink, registerLink } from './edge-link.ts';
import type { LoopContext } from './loop-context.ts';

/** A trial or a move must be there this soon: slower than that, HTTP/2 would win the next race anyway. */
export const moveTimeoutMs = 2 * rivalAfterMs;

/** Where a connection goes. */
export interface MoveTarget {
  readonly protocol: Protocol;
  readonly address: EdgeAddress;
}

/** How a move ended: `error` says why it did not come about, `refused` that the edge lets nobody take a place over. */
export interface ReplacementEnd {
  readonly moved: boolean;
  readonly error: unknown;
  readonly refused: boolean;
}

export class Replacement {
  /** The registered connection, its taker's to close; undefined when it came to nothing. Never rejects. */
  readonly link: Promise<EdgeLink | undefined>;
  readonly #abort = new AbortController();
  readonly #context: LoopContext;
  #refused = false;
  #error: unknown;

  /** Begins at once. */
  constructor(context: LoopContext, connIndex: number, target: MoveTarget) {
    this.#context = context;
    this.link = this.#run(connIndex, target);
  }

  /** Whether the edge refused to let the new connection take the old one's place. */
  get refused(): boolean {
    return this.#refused;
  }

  /** Why it came to nothing; undefined while under way, when it worked or was aborted. */
  get error(): unknown {
    return this.#error;
  }

  /** `link` settles soon, with undefined or with a connection that had registered already. */
  abort(): void {
    this.#abort.abort();
  }

  async #run(connIndex: number, { protocol, address }: MoveTarget): Promise<EdgeLink | undefined> {
    const { logger, policy, trust } = this.#context;
    const { signal } = this.#abort;
    try {
      const dial = { address, trust: await trust(), signal, timeoutMs: moveTimeoutMs };
      const connection = await dialEdge(this.#context, protocol, dial);
      const onAbort = (): void => connection.abort(stoppedError());
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      const options = { connIndex, address, previousAttempts: 0, replaceExisting: true };
      const link = await registerLink(this.#context, connection, options);
      signal.removeEventListener('abort', onAbort);
      policy.registered(connIndex, protocol);
      return link;
    } catch (error) {
      if (signal.aborted) return undefined;
      this.#refused = isPosternError(error, 'registration.duplicate');
      this.#error = error;
      const fields = { connIndex, error: describeError(error) };
      logger.debug(
        fields,
        `This connection could not move to ${formatEdgeAddress(address)} over ${protocol} and stays as it is`,
      );
      return undefined;
    }
  }
}
