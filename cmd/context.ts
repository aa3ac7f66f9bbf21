// The process as a value: what a command may know of the world it runs in. cmd/postern.ts makes the real one, tests make
// their own.

import type { Readable, Writable } from 'node:stream';

export type SignalName = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' | 'SIGCHLD';

export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  /** Whether somebody can answer a question. */
  readonly stdinIsTerminal: boolean;
  /** Results. */
  readonly stdout: Writable;
  /** Logs, errors, prompts. */
  readonly stderr: Writable;
  /** Whether stderr is a terminal: colours, progress. */
  readonly stderrIsTerminal: boolean;
  /** Words that start this program again: its path, or Node's, Node's flags and the script's. */
  readonly program: readonly string[];
  readonly cwd: string;
  readonly homeDir: string;
  readonly pid: number;
  readonly platform: NodeJS.Platform;
  /**
   * Calls `handler` at each such signal until the returned function is called. While any handler is there the signal's
   * default action is off.
   */
  onSignal(name: SignalName, handler: () => void): () => void;
  /**
   * Has the program start again with the same arguments in the place of this process, under its id, once the command has
   * ended. Where the system cannot do that the process just ends.
   */
  runAgain(): void;
  /** Ends the process at once. Only for a second signal; commands return their exit code. */
  exitNow(code: number): void;
}
