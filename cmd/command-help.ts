// Help texts of commands and groups, laid out by yargs. Loaded only when help is asked for: yargs takes longer to load than
// most commands take to run. Source: docs/protocol/commands-and-api.md §1.

import yargs, { type Argv } from 'yargs';
import type { Flag, FlagType } from '../internal/config/flag.ts';
import { helpTopics, otherTopic, topicOf } from './help-topics.ts';
import { type ChildCommand, type CommandSyntax, effectiveFlags, hidesSettings } from './parse-command-line.ts';

const programName = 'postern';
const lineWidth = 100;

/** The help text of a command; `all` lists the flags too that it has beside the usual ones. */
export async function commandHelp(syntax: CommandSyntax, extent: 'short' | 'all'): Promise<string> {
  return `${await createYargs(syntax, extent).getHelp()}\n`;
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

function baseYargs(): Argv {
  return yargs([]).scriptName(programName).locale('en').help(false).version(false).exitProcess(false).wrap(lineWidth);
}

function createYargs(syntax: CommandSyntax, extent: 'short' | 'all'): Argv {
  const { positionals = [], description, examples = [], usualFlags } = syntax.command;
  const hides = hidesSettings(syntax);
  const inheritedHelp = syntax.command.inheritedHelp === true || (hides && extent === 'all');
  const { own, inherited } = effectiveFlags(syntax);
  const shownArgs = positionals.map(({ name, optional, repeated }) => {
    const shown = repeated === true ? `${name}…` : name;
    return optional === true ? `[${shown}]` : shown;
  });
  const program = [programName, ...syntax.path].join(' ');
  const nameWidth = Math.max(0, ...positionals.map(({ name }) => name.length));
  const argumentLines = positionals.map(({ name, description: text }) => `${name.padEnd(nameWidth)}  ${text}`);
  const text = [description ?? `${syntax.summary}.`, argumentLines.join('\n')].filter(part => part !== '').join('\n\n');
  const parser = baseYargs().usage([program, '[flags]', ...shownArgs].join(' ').concat(`\n\n${text}`));
  const flags = [...own, ...(inheritedHelp ? inherited : [])];
  const isShort = extent === 'short' && usualFlags !== undefined;
  if (isShort) addFlags(parser, [...inOrder(usualFlags, flags), ...inOrder(['help', 'help-all'], flags)], otherTopic);
  else addByTopic(parser, flags, inheritedHelp);
  for (const child of syntax.children ?? []) parser.command([...syntax.path, child.word].join(' '), child.summary);
  const epilog = [exampleLines(examples)];
  if (hides && extent === 'short')
    epilog.push('Also takes settings such as --api-url and --origincert, which --help-all lists.');
  const shown = epilog.filter(part => part !== '');
  return shown.length === 0 ? parser : parser.epilog(shown.join('\n\n'));
}

/** Each command on one line, to be copied: yargs would break it beside its explanation. */
function exampleLines(examples: readonly (readonly [string, string])[]): string {
  if (examples.length === 0) return '';
  const width = Math.max(...examples.map(([line]) => line.length));
  const longest = Math.max(...examples.map(([, what]) => what.length));
  const shown = examples.map(([line, what]) =>
    width + longest + 4 <= lineWidth ? `  ${line.padEnd(width)}  ${what}` : `  ${line}\n      ${what}`,
  );
  return ['Examples:', ...shown].join('\n');
}

function inOrder(names: readonly string[], flags: readonly Flag[]): readonly Flag[] {
  return names.flatMap(name => flags.find(flag => flag.name === name) ?? []);
}

/** Settings under their headings, behind what is the command's alone. */
function addByTopic(parser: Argv, flags: readonly Flag[], areGrouped: boolean): void {
  const own = areGrouped ? flags.filter(({ name }) => topicOf(name) === otherTopic) : flags;
  addFlags(parser, own, otherTopic);
  for (const [topic, names] of areGrouped ? Object.entries(helpTopics) : [])
    addFlags(parser, inOrder(names, flags), topic);
}

function addFlags(parser: Argv, flags: readonly Flag[], group: string): void {
  for (const flag of flags.filter(({ hidden, inert }) => hidden !== true && inert === undefined)) {
    const shownDefault = flag.default === undefined || flag.default === '' ? '' : ` (default ${flag.default})`;
    const value = flag.type === 'boolean' ? '' : ` ${flag.valueName ?? valueNames[flag.type]}`;
    // yargs has no place for the name of a value, but prints an option's name as it is; nothing is parsed here. The last
    // name of the line carries it, and short names come first anyway.
    const [first = '', ...others] = [...(flag.aliases ?? []), flag.name];
    const names =
      others.length === 0 ? [`${first}${value}`] : [first, ...others.slice(0, -1), `${others.at(-1)}${value}`];
    parser.option(names[0] ?? '', {
      alias: names.slice(1),
      describe: `${flag.description}${shownDefault}`,
      group,
    });
  }
}

/** What values are called that have no name of their own. */
const valueNames: Readonly<Record<FlagType, string>> = {
  string: 'TEXT',
  boolean: '',
  integer: 'N',
  number: 'N',
  duration: 'DURATION',
  list: 'TEXT',
};
