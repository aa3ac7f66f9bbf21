// What a command is: data plus a function that gets its process as a value. One file a command; the registry is
// commands.ts. Source: docs/protocol/commands-and-api.md §1, §2.

import type { Flag, FlagValues } from '../internal/config/flag.ts';
import type { GivenFlags, ResolvedFlags } from '../internal/config/resolve-flags.ts';
import type { CommandTree } from './completion/command-tree.ts';
import type { CommandContext } from './context.ts';

/** A positional argument, for help and for counting. */
export interface Positional {
  /** As the help shows it: `TUNNEL`. */
  readonly name: string;
  readonly description: string;
  readonly optional?: boolean;
  /** The last one may take all that follow. */
  readonly repeated?: boolean;
}

/** A command line taken apart for one command. */
export interface Invocation<Flags extends readonly Flag[] = readonly Flag[]> {
  /** Words of the command: `['tunnel', 'run']`. */
  readonly path: readonly string[];
  /** Positional arguments. */
  readonly args: readonly string[];
  /** Texts of every flag on the command line, the command's own and inherited ones, by long name. */
  readonly given: GivenFlags;
  /** The command's own flags, from the command line, the environment or their defaults. */
  readonly flags: FlagValues<Flags>;
  /** Which of its own flags are set, and by what. */
  readonly sources: ResolvedFlags<Flags>['sources'];
  /** Loads every command of the program, this one among them. */
  readonly loadTree: () => Promise<CommandTree>;
}

/** Runs the command; resolves to the exit code, 0 when it returns nothing. Errors that end it are thrown. */
export type CommandRun<Flags extends readonly Flag[]> = (
  invocation: Invocation<Flags>,
  context: CommandContext,
) => Promise<number | undefined> | Promise<void>;

/** What a command's file gives to `defineCommand`. */
export interface CommandDefinition<Flags extends readonly Flag[] = readonly Flag[]> {
  /** Paragraphs of the help, below the usage line. */
  readonly description?: string;
  readonly positionals?: readonly Positional[];
  readonly flags: Flags;
  /** Whether the help lists the flags of upper levels. */
  readonly inheritedHelp?: boolean;
  /** The flags, own and of upper levels, that `--help` lists; `--help-all` lists the others too. Default: all. */
  readonly usualFlags?: readonly string[];
  /** Example lines for the help: a command line and what it does. */
  readonly examples?: readonly (readonly [line: string, text: string])[];
  /**
   * How usage errors about positionals read; given the arguments, returns the message or undefined when they are fine.
   * Without it the number of positionals is checked.
   */
  readonly checkArgs?: (args: readonly string[]) => string | undefined;
  readonly run: CommandRun<Flags>;
}

/** A command whose flag types are known only to itself. */
export type Command = Omit<CommandDefinition, 'run'> & {
  readonly run: (invocation: Invocation, context: CommandContext) => Promise<number | undefined>;
};

/** Types `run` after the flags. */
export function defineCommand<const Flags extends readonly Flag[]>(definition: CommandDefinition<Flags>): Command {
  return {
    ...definition,
    run: async (invocation, context) => {
      // The values were resolved from these very flags.
      const code = await definition.run(invocation as unknown as Invocation<Flags>, context);
      return code ?? undefined;
    },
  };
}
