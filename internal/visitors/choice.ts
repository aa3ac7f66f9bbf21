// Who takes a request to a host name that several may serve: the seam between the forwarder, which tries, and the feature
// that balances, which chooses.

import type { Carrier } from '../carriers/carrier.ts';
import type { VisitorRequest, VisitorResponse } from './visitor.ts';

/** Begins a choice for one request; may observe the answer. Must not throw. */
export type BeginChoice = (request: VisitorRequest, response: VisitorResponse) => Choice;

/** The choice for one request. Its methods must not throw. */
export interface Choice {
  /** The one to try next, and not one that was tried; undefined when nobody is left. */
  next(): Attempt | undefined;
  /** Whether `next` has another that is known to live. */
  hasNext(): boolean;
  /** Settles when somebody to try may have come, or after `timeoutMs`; resolves to whether one did. */
  waitForReturn(timeoutMs: number): Promise<boolean>;
}

/** One try. One of its methods is called at most, once. */
export interface Attempt {
  readonly carrier: Carrier;
  /** Host that is asked for in the place of the visitor's. */
  readonly host: string | undefined;
  /** The head of the answer came. */
  answered(): void;
  /** No head came; not called when the visitor left. */
  failed(error: unknown): void;
}
