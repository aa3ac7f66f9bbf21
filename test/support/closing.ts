// What a helper needs from its caller to be closed with it: a test's own context, or a scenario's outside of tests.

export interface Closing {
  /** Runs `close` at the end, and waits for what it returns. */
  after(close: () => unknown): void;
}
