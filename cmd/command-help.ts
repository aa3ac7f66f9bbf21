// Help texts of commands and groups, laid out by yargs. Loaded only when help is asked for: yargs takes longer to load than
// most commands take to run. Source: spec cli-and-api §1.

import yargs, { type Argv } from 'yargs';
import type { Flag } from '../internal/config/flag.ts';
import { type ChildCommand, type CommandSyntax, effectiveFlags } from './parse-command-line.ts';

const programName = 'postern';

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

function baseYargs(): Argv {
  return yargs([]).scriptName(programName).locale('en').help(false).version(false).exitProcess(false).wrap(100);
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
  const parser = baseYargs().usage([program, '[flags]', ...shownArgs].join(' ').concat(`\n\n${text}`));
  for (const flag of flags) {
    const shownDefault = flag.default === undefined ? '' : ` (default ${flag.default})`;
    parser.option(flag.name, {
      alias: [...(flag.aliases ?? [])],
      type: flag.type === 'boolean' ? 'boolean' : 'string',
      hidden: flag.hidden === true || flag.inert === true,
      describe: `${flag.description}${shownDefault}`,
    });
  }
  for (const child of syntax.children ?? []) parser.command([...syntax.path, child.word].join(' '), child.summary);
  for (const [line, what] of examples) parser.example(line, what);
  return parser;
}
