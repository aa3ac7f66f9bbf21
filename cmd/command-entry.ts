// What stands in the registry of commands.

import type { Command } from './command.ts';

/** What is known of a command before its file is loaded. */
export interface CommandEntry {
  /** Words: `tunnel ingress validate`. The empty path is the program itself, called with flags only. */
  readonly path: string;
  readonly summary: string;
  /** Not in listings. */
  readonly hidden?: boolean;
  /** Which flags of upper levels it takes: those of `tunnel`, or only those about logging. */
  readonly inherits: 'tunnel' | 'log';
  readonly load: () => Promise<{ readonly command: Command }>;
}
