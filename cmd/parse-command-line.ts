// Tokens → positional arguments and texts of flags, for one command, through yargs. Before, the tokens are brought from
// Go's flag syntax (single dash, `-x=false`, values that begin with a dash) to the one form that has a single meaning.
// Source: spec cli-and-api §1.

import yargs, { type Argv } from 'yargs';
import { type Flag, parseBoolean } from '../internal/config/flag.ts';
import type { GivenFlags } from '../internal/config/resolve-flags.ts';
import { PosternError } from '../internal/errors/error.ts';
import type { Command } from './command.ts';
import { unknownCommandText } from './resolve-command.ts';

/** Everything yargs needs to know of a command. */
export interface CommandSyntax {
  /** Words after the program's name. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly command: Pick<Command, 'flags' | 'positionals' | 'description' | 'examples' | 'checkArgs'>;
  /** Flags of upper levels; hidden from the help. */
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

const programName = 'postern';

/** Parses the tokens. Throws 'usage.invalid' for unknown flags, missing values and a wrong number of arguments. */
export function parseCommandLine(tokens: readonly string[], syntax: CommandSyntax): ParsedCommandLine {
  const flags = effectiveFlags(syntax);
  const { flagTokens, args } = normalizeTokens(tokens, flags);
  // The parser needs no knowledge beyond names: every token is `--name=text` now.
  const parsed = createYargs(syntax, flags).parseSync(flagTokens) as Readonly<Record<string, unknown>>;
  const given: Record<string, readonly string[]> = {};
  for (const { name } of flags) {
    const value = parsed[name];
    if (value !== undefined) given[name] = (Array.isArray(value) ? value : [value]).map(String);
  }
  const help = given.help !== undefined;
  if (!help) checkArguments(args, syntax);
  return { args, given: Object.fromEntries(Object.entries(given).filter(([name]) => name !== 'help')), help };
}

/** The help text of a command. */
export async function commandHelp(syntax: CommandSyntax): Promise<string> {
  return `${await createYargs(syntax, effectiveFlags(syntax)).getHelp()}\n`;
}

/** The help text of a group: its commands. */
export async function groupHelp(
  path: readonly string[],
  summary: string,
  children: readonly ChildCommand[],
): Promise<string> {
  const program = [programName, ...path].join(' ');
  const parser = baseYargs().scriptName(program).usage(`${program} COMMAND\n\n${summary}`);
  for (const child of children) parser.command(child.word, child.summary);
  return `${await parser.epilog(`${program} COMMAND --help tells more.`).getHelp()}\n`;
}

const helpFlag: Flag = { name: 'help', aliases: ['h'], type: 'boolean', description: 'Show this help' };

/** Own flags, then the inherited ones that they do not replace, without aliases that are taken. */
function effectiveFlags(syntax: CommandSyntax): readonly Flag[] {
  const own = [...syntax.command.flags, helpFlag];
  const taken = new Set(own.flatMap(flag => [flag.name, ...(flag.aliases ?? [])]));
  const inherited = syntax.inherited
    .filter(flag => !taken.has(flag.name))
    .map(flag => ({ ...flag, hidden: true, aliases: (flag.aliases ?? []).filter(alias => !taken.has(alias)) }));
  return [...own, ...inherited];
}

function baseYargs(): Argv {
  return yargs([])
    .scriptName(programName)
    .locale('en')
    .help(false)
    .version(false)
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail(failWithUsageError)
    .wrap(100)
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'short-option-groups': false,
      'greedy-arrays': false,
    });
}

function createYargs(syntax: CommandSyntax, flags: readonly Flag[]): Argv {
  const { positionals = [], description, examples = [] } = syntax.command;
  const shownArgs = positionals.map(({ name, optional, repeated }) => {
    const shown = repeated === true ? `${name}…` : name;
    return optional === true ? `[${shown}]` : shown;
  });
  const program = [programName, ...syntax.path].join(' ');
  const argumentLines = positionals.map(({ name, description: text }) => `  ${name}  ${text}`);
  const text = [description ?? `${syntax.summary}.`, argumentLines.join('\n')].filter(part => part !== '').join('\n\n');
  const parser = baseYargs()
    .usage([program, '[flags]', ...shownArgs].join(' ').concat(`\n\n${text}`))
    .strictOptions();
  for (const flag of flags) {
    const shownDefault = flag.default === undefined ? '' : ` (default ${flag.default})`;
    parser.option(flag.name, {
      alias: [...(flag.aliases ?? [])],
      // Other values are texts here; types are checked where the environment's and the file's are.
      type: flag.type === 'boolean' ? 'boolean' : 'string',
      hidden: flag.hidden === true || flag.inert === true,
      describe: `${flag.description}${shownDefault}`,
    });
  }
  for (const child of syntax.children ?? []) parser.command([...syntax.path, child.word].join(' '), child.summary);
  for (const [line, what] of examples) parser.example(line, what);
  return parser;
}

function failWithUsageError(message: string, error: Error | undefined): never {
  throw error ?? new PosternError('usage.invalid', message);
}

interface Normalized {
  /** `--name=text` each. */
  readonly flagTokens: readonly string[];
  readonly args: readonly string[];
}

function normalizeTokens(tokens: readonly string[], flags: readonly Flag[]): Normalized {
  const flagTokens: string[] = [];
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
    if (!token.startsWith('-') || token === '-') {
      args.push(token);
      continue;
    }
    const [, name = '', value] = /^--?([^=]*)(?:=([\s\S]*))?$/.exec(token) ?? [];
    const flag = byName.get(name);
    if (flag === undefined) throw new PosternError('usage.invalid', unknownFlagText(name, [...byName.keys()]));
    if (flag.type === 'boolean') flagTokens.push(`--${flag.name}=${booleanText(flag.name, value)}`);
    else if (value !== undefined) flagTokens.push(`--${flag.name}=${value}`);
    else {
      at += 1;
      const next = tokens[at];
      if (next === undefined) throw new PosternError('usage.invalid', `--${flag.name} needs a value`);
      flagTokens.push(`--${flag.name}=${next}`);
    }
  }
  return { flagTokens, args };
}

function booleanText(name: string, value: string | undefined): string {
  const parsed = value === undefined ? true : parseBoolean(value);
  if (parsed !== undefined) return String(parsed);
  throw new PosternError('usage.invalid', `--${name} must be true or false, not ${JSON.stringify(value)}`);
}

/** The value is not shown: it may be a secret given to a mistyped flag. */
function unknownFlagText(name: string, known: readonly string[]): string {
  const near = known.find(
    candidate => candidate.length > 2 && (candidate.startsWith(name) || name.startsWith(candidate)),
  );
  const hint = near === undefined || name.length < 2 ? '' : `. Did you mean --${near}?`;
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
