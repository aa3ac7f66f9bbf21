// A scenario of `npm run interop`: one script, run with our program and with a stock one, and what it says afterwards.

import type { Closing } from '../../support/closing.ts';

/** The program that a scenario tries. */
export interface TriedProgram {
  /** Heads its column. */
  readonly name: string;
  /** Words that start it. */
  readonly words: readonly string[];
  readonly isStock: boolean;
}

/** What a scenario has while it runs; everything it opens is closed by `after`, last first. */
export interface Stage extends Closing {
  readonly program: TriedProgram;
  /** An empty directory of its own. */
  readonly directory: string;
}

export const families = ['quick', 'named', 'private', 'configuration', 'management', 'access', 'traces'] as const;
export type Family = (typeof families)[number];

export interface Scenario {
  /** What the table shows. */
  readonly name: string;
  /** Rejects when something is not as it should be, with `NotOffered` when there is nothing to try. */
  run(stage: Stage): Promise<void>;
}

export type ScenarioOutcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'not offered'; readonly reason: string };

/** The program, our edge or this machine has nothing of the kind; the message says which. */
export class NotOffered extends Error {}
