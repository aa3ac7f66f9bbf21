// The command line of one command: its flags and those of upper levels, and the number of its arguments. How flags are written
// is read-tokens.ts, help is command-help.ts. Source: docs/protocol/commands-and-api.md §1.

import type { Flag } from '../internal/config/flag.ts';
import type { GivenFlags } from '../internal/config/resolve-flags.ts';
import { PosternError } from '../internal/errors/error.ts';
import type { Command } from './command.ts';
import { readTokens } from './read-tokens.ts';
import { unknownCommandText } from './resolve-command.ts';

/** Everything that parsing and help need to know of a command. */
export interface CommandSyntax {
  /** Words after the program's name. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly command: Pick<
    Command,
    'flags' | 'positionals' | 'description' | 'examples' | 'checkArgs' | 'inheritedHelp' | 'usualFlags'
  >;
  /** Flags of upper levels. */
  readonly inherited: readonly Flag[];
  /** Commands below this one. */
  readonly children?: readonly ChildCommand[];
}

export interface ChildCommand {
  readonly word: string;
  readonly summary: string;
}

export interface ParsedCommandLine {
  readonly args: readonly string[];
  readonly given: GivenFlags;
  readonly help: 'no' | 'short' | 'all';
}

/** Parses the tokens. Throws 'usage.invalid' for unknown flags, missing values and a wrong number of arguments. */
export function parseCommandLine(tokens: readonly string[], syntax: CommandSyntax): ParsedCommandLine {
  const { own, inherited } = effectiveFlags(syntax);
  const { given, args } = readTokens(tokens, [...own, ...inherited]);
  const wantsShort = given.delete('help');
  const help = given.delete('help-all') ? 'all' : wantsShort ? 'short' : 'no';
  if (help === 'no') checkArguments(args, syntax);
  return { args, given: Object.fromEntries(given), help };
}

/** Every command and group takes this one. */
export const helpFlag: Flag = { name: 'help', aliases: ['h'], type: 'boolean', description: 'Show this help' };

/** Of commands whose help leaves flags out: unusual ones, or the settings of upper levels. */
const helpAllFlag: Flag = { name: 'help-all', type: 'boolean', description: 'Show every flag' };

/** Own flags, and the inherited ones that they do not replace, without aliases that are taken. */
export function effectiveFlags(syntax: CommandSyntax): { readonly own: readonly Flag[]; readonly inherited: Flag[] } {
  const { flags, usualFlags } = syntax.command;
  const hasMore = usualFlags !== undefined || hidesSettings(syntax);
  const own = [...flags, helpFlag, ...(hasMore ? [helpAllFlag] : [])];
  const taken = new Set(own.flatMap(flag => [flag.name, ...(flag.aliases ?? [])]));
  const inherited = syntax.inherited
    .filter(flag => !taken.has(flag.name))
    .map(flag => ({ ...flag, aliases: (flag.aliases ?? []).filter(alias => !taken.has(alias)) }));
  return { own, inherited };
}

/** Whether `--help` leaves out the settings of the `tunnel` family, which the command takes. */
export function hidesSettings({ command, inherited }: CommandSyntax): boolean {
  return command.inheritedHelp !== true && inherited.some(({ name }) => name === 'api-url');
}

function checkArguments(args: readonly string[], { command, path, children = [] }: CommandSyntax): void {
  if (children.length > 0 && args[0] !== undefined && (command.positionals ?? []).length === 0)
    throw new PosternError('usage.invalid', unknownCommandText(path, args[0]));
  const own = command.checkArgs?.(args);
  if (own !== undefined) throw new PosternError('usage.invalid', own);
  if (command.checkArgs !== undefined) return;
  const positionals = command.positionals ?? [];
  const least = positionals.filter(({ optional }) => optional !== true).length;
  const most = positionals.some(({ repeated }) => repeated === true) ? Number.POSITIVE_INFINITY : positionals.length;
  const missing = positionals.filter(({ optional }) => optional !== true)[args.length];
  if (args.length < least) throw new PosternError('usage.invalid', `${missing?.name ?? 'An argument'} is missing`);
  if (args.length > most)
    throw new PosternError('usage.invalid', `Too many arguments: ${JSON.stringify(args.slice(most).join(' '))}`);
}
