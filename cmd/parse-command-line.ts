// Tokens → positional arguments and texts of flags, for one command, in Go's flag syntax: single dash or two, `-x=false`,
// values that begin with a dash. Help is command-help.ts. Source: docs/protocol/commands-and-api.md §1.

import { type Flag, parseBoolean } from '../internal/config/flag.ts';
import type { GivenFlags } from '../internal/config/resolve-flags.ts';
import { PosternError } from '../internal/errors/error.ts';
import { nearest } from '../internal/schema/nearest.ts';
import type { Command } from './command.ts';
import { unknownCommandText } from './resolve-command.ts';

/** Everything that parsing and help need to know of a command. */
export interface CommandSyntax {
  /** Words after the program's name. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly command: Pick<Command, 'flags' | 'positionals' | 'description' | 'examples' | 'checkArgs' | 'inheritedHelp'>;
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
  readonly help: boolean;
}

/** Parses the tokens. Throws 'usage.invalid' for unknown flags, missing values and a wrong number of arguments. */
export function parseCommandLine(tokens: readonly string[], syntax: CommandSyntax): ParsedCommandLine {
  const { own, inherited } = effectiveFlags(syntax);
  const { given, args } = readTokens(tokens, [...own, ...inherited]);
  const help = given.delete('help');
  if (!help) checkArguments(args, syntax);
  return { args, given: Object.fromEntries(given), help };
}

const helpFlag: Flag = { name: 'help', aliases: ['h'], type: 'boolean', description: 'Show this help' };

/** Own flags, and the inherited ones that they do not replace, without aliases that are taken. */
export function effectiveFlags(syntax: CommandSyntax): { readonly own: readonly Flag[]; readonly inherited: Flag[] } {
  const own = [...syntax.command.flags, helpFlag];
  const taken = new Set(own.flatMap(flag => [flag.name, ...(flag.aliases ?? [])]));
  const inherited = syntax.inherited
    .filter(flag => !taken.has(flag.name))
    .map(flag => ({ ...flag, aliases: (flag.aliases ?? []).filter(alias => !taken.has(alias)) }));
  return { own, inherited };
}

interface ReadTokens {
  /** Texts by the flag's own name, in the order in which they were given. */
  readonly given: Map<string, string[]>;
  readonly args: readonly string[];
}

function readTokens(tokens: readonly string[], flags: readonly Flag[]): ReadTokens {
  const given = new Map<string, string[]>();
  const give = (name: string, text: string): void => {
    const before = given.get(name);
    if (before === undefined) given.set(name, [text]);
    else before.push(text);
  };
  const args: string[] = [];
  const byName = new Map(
    flags.flatMap(flag => [flag.name, ...(flag.aliases ?? [])].map(name => [name, flag] as const)),
  );
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at] ?? '';
    if (token === '--') {
      args.push(...tokens.slice(at + 1));
      break;
    }
    // Web pages and word processors turn two hyphens into one dash.
    if (/^[\u2010-\u2015\u2212]/.test(token)) {
      const meant = token.replace(/^[-\u2010-\u2015\u2212]+/, '--');
      throw new PosternError(
        'usage.invalid',
        `${JSON.stringify(token)} begins with a dash that is no hyphen: write ${meant}`,
      );
    }
    if (!token.startsWith('-') || token === '-') {
      args.push(token);
      continue;
    }
    const { name, value } = splitFlag(token, byName);
    const flag = byName.get(name);
    if (flag === undefined) throw new PosternError('usage.invalid', unknownFlagText(name, [...byName.keys()]));
    if (flag.type === 'boolean') give(flag.name, booleanText(flag.name, value));
    else if (value !== undefined) give(flag.name, value);
    else {
      at += 1;
      const next = tokens[at];
      if (next === undefined) throw new PosternError('usage.invalid', `--${flag.name} needs a value`);
      give(flag.name, next);
    }
  }
  return { given, args };
}

/** `--name`, `-name=value`, and `-c1` where `-c` takes a number. */
function splitFlag(
  token: string,
  known: ReadonlyMap<string, Flag>,
): { readonly name: string; readonly value: string | undefined } {
  const [, name = '', value] = /^--?([^=]*)(?:=([\s\S]*))?$/.exec(token) ?? [];
  const [, letter = '', digits] = /^-([a-zA-Z])(\d\S*)$/.exec(token) ?? [];
  const type = known.has(name) ? undefined : known.get(letter)?.type;
  const takesNumber = type === 'integer' || type === 'number' || type === 'duration';
  return takesNumber ? { name: letter, value: digits } : { name, value };
}

function booleanText(name: string, value: string | undefined): string {
  const parsed = value === undefined ? true : parseBoolean(value);
  if (parsed !== undefined) return String(parsed);
  throw new PosternError('usage.invalid', `--${name} must be true or false, not ${JSON.stringify(value)}`);
}

/** The value is not shown: it may be a secret given to a mistyped flag. */
function unknownFlagText(name: string, known: readonly string[]): string {
  const near = nearest(
    name,
    known.filter(candidate => candidate.length > 2),
  );
  const hint = near === undefined ? '' : `. Did you mean --${near}?`;
  return `There is no flag --${name}${hint}`;
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
