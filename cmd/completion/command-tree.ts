// The commands as data: what completions and man pages are written from.

import type { Flag } from '../../internal/config/flag.ts';

/** Flags of upper levels that a command takes: those of `tunnel`, or only those about logging. */
export type Inherited = 'tunnel' | 'log';

/** A command, a group of commands, or both. */
export interface TreeNode {
  /** Words after the program's name; '' is the program itself. */
  readonly path: string;
  readonly summary: string;
  readonly description: string | undefined;
  /** The words that may follow. */
  readonly children: readonly { readonly word: string; readonly summary: string }[];
  /** Its own flags that are documented. */
  readonly own: readonly Flag[];
  /** Undefined for what is only a group. */
  readonly inherits: Inherited | undefined;
  readonly positionals: readonly {
    readonly name: string;
    readonly description: string;
    readonly optional?: boolean;
    readonly repeated?: boolean;
  }[];
  readonly examples: readonly (readonly [line: string, text: string])[];
}

export interface CommandTree {
  /** Sorted by path; the program itself comes first. */
  readonly nodes: readonly TreeNode[];
  /** Flags of upper levels that are documented. */
  readonly shared: Readonly<Record<Inherited, readonly Flag[]>>;
}
